import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findProgram, run } from '@saas/devstack'

const INSIDE = 'SAAS_CLUSTER_INSIDE'
/** Where control groups are found. */
export const CGROUPS = '/sys/fs/cgroup'
/** That of twenty processes, in control groups of version 1 and 2. */
const CPU_WEIGHTS = { 'cpu.shares': 20_480, 'cpu.weight': 2_000 }
const REMOVAL_TIMEOUT_MS = 10_000
const REMOVAL_INTERVAL_MS = 100
/** The parent of every pod's control groups. */
export const CGROUP = 'saas-cluster'
/** Where the node is, for its pods and for the API server. */
export const NODE_ADDRESS = '10.245.0.1'
/** Where names are resolved: the address that clusters give the cache on each node. */
export const NAMES_ADDRESS = '169.254.20.10'
/** What a kubelet sets for the whole machine, whatever namespaces it runs in. */
const machineSettings = ['vm/overcommit_memory', 'kernel/panic', 'kernel/panic_on_oops']

/** What this process was given when it was started again inside; undefined outside. */
export function insideArgument(): unknown {
  const given = process.env[INSIDE]
  return given === undefined ? undefined : JSON.parse(given)
}

/** What keeps this machine from running containers, as a sentence; undefined when nothing does. */
export function whatContainersLack(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'Containers are run as root on Linux.'
  const missing = ['unshare', 'ip', 'iptables', 'mount', 'containerd', 'ctr', 'runc', 'docker'].filter(
    (program) => findProgram(program) === undefined,
  )
  if (missing.length === 0) return undefined
  return `Containers need ${missing.join(', ')} on PATH (Debian: util-linux iproute2 iptables containerd runc docker.io).`
}

/**
 * Runs this very program again where it has processes, mounts and a network of its own: whatever a kubelet starts, mounts or
 * routes there is gone with the last process, and nothing there reaches any other network. Answers its exit code.
 */
export async function runInside(argument: object): Promise<number> {
  const before = machineSettings.map((name) => [name, readFileSync(join('/proc/sys', name), 'utf8')] as const)
  const parents = makeControlGroups()
  try {
    // A shell is the first process there: it reaps what lost its parent.
    const script = '"$@" & wait $!'
    const isolation = ['--net', '--mount', '--pid', '--uts', '--fork', '--kill-child', '--mount-proc']
    const again = ['sh', '-c', script, 'sh', process.execPath, ...process.argv.slice(1)]
    const child = spawn(findProgram('unshare') ?? 'unshare', [...isolation, ...again], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, [INSIDE]: JSON.stringify(argument) },
    })
    // It listens to nothing gentler, and takes everything inside along.
    const end = (): void => void child.kill('SIGKILL')
    process.once('SIGINT', end).once('SIGTERM', end)
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code) => resolve(code ?? 1))
    })
  } finally {
    for (const [name, value] of before) writeFileSync(join('/proc/sys', name), value)
    for (const parent of parents) await removeControlGroups(parent)
  }
}

/** The network of the inner machine, before anything runs in it. */
export async function prepareNetwork(): Promise<void> {
  await run('mount', ['--make-rshared', '/'])
  await run('hostname', ['machine'])
  await run('ip', ['link', 'set', 'lo', 'up'])
  // Packets that leave by the default route end here. It has to be there, or nothing is sent to a Service.
  await run('ip', ['link', 'add', 'node', 'type', 'veth', 'peer', 'name', 'nowhere'])
  await run('ip', ['address', 'add', `${NODE_ADDRESS}/24`, 'dev', 'node'])
  await run('ip', ['address', 'add', `${NAMES_ADDRESS}/32`, 'dev', 'node'])
  await run('ip', ['link', 'set', 'node', 'up'])
  await run('ip', ['link', 'set', 'nowhere', 'up'])
  await run('ip', ['route', 'add', 'default', 'dev', 'node'])
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
  // A pod that reaches a pod beside it by a Service is answered through the same rules.
  const bridged = '/proc/sys/net/bridge/bridge-nf-call-iptables'
  if (existsSync(bridged)) writeFileSync(bridged, '1')
}

/**
 * Gives the first packet of each connection from or to a pod to the program that listens there, which lets it through or not: after
 * the Service was resolved, and before the sender's address is changed. The program makes such rules itself with an expression of
 * nftables that not every kernel has; these do the same. What the node itself says, as the kubelet's probes, passes.
 */
export async function queueNewConnections(queue: number): Promise<void> {
  const isNew = ['-m', 'conntrack', '--ctstate', 'NEW']
  const notFromNode = ['-m', 'owner', '!', '--uid-owner', '0']
  const target = ['-j', 'NFQUEUE', '--queue-num', String(queue)]
  await run('iptables', ['-t', 'mangle', '-A', 'POSTROUTING', ...isNew, ...notFromNode, ...target])
}

/** With control groups of version 1 there is one tree a controller, and each needs the parent. */
function makeControlGroups(): string[] {
  const trees = existsSync(join(CGROUPS, 'cgroup.controllers'))
    ? [CGROUPS]
    : readdirSync(CGROUPS).map((name) => join(CGROUPS, name))
  return trees.map((tree) => {
    const parent = join(tree, CGROUP)
    mkdirSync(parent, { recursive: true })
    for (const name of ['cpuset.cpus', 'cpuset.mems']) {
      const file = join(tree, name)
      if (existsSync(file)) appendFileSync(join(parent, name), readFileSync(file, 'utf8'))
    }
    // Otherwise all pods together would get no more of a busy machine than any single process of it.
    for (const [name, weight] of Object.entries(CPU_WEIGHTS)) {
      const file = join(parent, name)
      if (existsSync(file)) writeFileSync(file, String(weight))
    }
    return parent
  })
}

async function removeControlGroups(parent: string): Promise<void> {
  const deadline = Date.now() + REMOVAL_TIMEOUT_MS
  for (;;) {
    try {
      removeControlGroup(parent)
      return
    } catch (error) {
      // The last process of a group may still be on its way out.
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || Date.now() > deadline) throw error
      await delay(REMOVAL_INTERVAL_MS)
    }
  }
}

function removeControlGroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeControlGroup(join(path, entry.name))
  }
  rmdirSync(path)
}
