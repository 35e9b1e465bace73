import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { helmMajors, stopLeftovers, TerminalProgress, type HelmMajor, type Progress } from '@saas/devstack'
import { gatherParts, startRealCluster, startSimulatedCluster, type Parts } from './harness/cluster.ts'
import { withoutDigests } from './harness/images.ts'
import { memoryOfPods } from './harness/memory.ts'
import { insideArgument, runInside, whatContainersLack } from './harness/namespaces.ts'
import { liveThrough } from './lifecycle.ts'
import { Release } from './release.ts'
import { Shopper } from './shopper.ts'

const usage = `Usage: pnpm cluster [--kubeconfig FILE | --containers] [--helm 3|4] [--values FILE]… [--set PATH=VALUE]…

  Installs the umbrella chart, tests it, upgrades it and rolls it back under load, uninstalls it, installs it again and looks
  for the data; in a namespace of its own, which is deleted at the end.

  Without a cluster a control plane is built and started here, over nodes that only say they run what they are given: no
  container runs, and no load.

  --kubeconfig FILE  a cluster that can pull the images
  --containers       one is made here whose containers run: as root on Linux, with containerd, runc and Docker's images
  --helm 3|4         with this Helm only; otherwise with each of them
  --values, --set    as Helm takes them
  --keep             leaves the namespace of the last run, with what is in it
`

interface Options {
  readonly kubeconfig: string | undefined
  readonly containers: boolean
  readonly helms: readonly HelmMajor[]
  readonly values: readonly string[]
  readonly keep: boolean
}

function readOptions(arguments_: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: arguments_.filter((argument) => argument !== '--'),
    options: {
      kubeconfig: { type: 'string' },
      containers: { type: 'boolean', default: false },
      helm: { type: 'string' },
      values: { type: 'string', multiple: true, default: [] },
      set: { type: 'string', multiple: true, default: [] },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return undefined
  const helms = helmMajors.filter((major) => values.helm === undefined || values.helm === String(major))
  if (helms.length === 0) throw new TypeError(`--helm takes 3 or 4, and got "${values.helm}".`)
  if (values.containers && values.kubeconfig !== undefined) {
    throw new TypeError('--containers makes a cluster and --kubeconfig names one: leave one of them out.')
  }
  return {
    kubeconfig: values.kubeconfig,
    containers: values.containers,
    helms,
    values: [...values.values.map((file) => `--values=${file}`), ...values.set.map((set) => `--set=${set}`)],
    keep: values.keep,
  }
}

/** `pnpm cluster`. Answers the exit code. */
async function main(arguments_: readonly string[]): Promise<number> {
  let options: Options | undefined
  try {
    options = readOptions(arguments_)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return 1
  }
  if (options === undefined) {
    process.stdout.write(usage)
    return 0
  }
  using progress = new TerminalProgress()
  const inside = insideArgument() as Inside | undefined
  if (inside !== undefined) return await told(progress, () => runInRealCluster(options, inside, progress))
  await stopLeftovers()
  const lacking = options.containers ? whatContainersLack() : undefined
  if (lacking !== undefined) {
    progress.say(lacking)
    return 1
  }
  const directory = mkdtempSync(join(tmpdir(), 'saas-cluster-'))
  const code = await told(progress, async () => {
    if (!options.containers) await runAll(options, directory, progress)
    else {
      const inner: Inside = { directory, parts: await gatherParts(progress) }
      if ((await runInside(inner)) !== 0) throw new Error('It went wrong in there.')
    }
  })
  if (code === 0) rmSync(directory, { recursive: true })
  else progress.say(`What the cluster's parts said is in ${directory}.`)
  return code
}

/** Runs it and says what went wrong; answers the exit code. */
async function told(progress: TerminalProgress, work: () => Promise<void>): Promise<number> {
  try {
    await work()
    return 0
  } catch (error) {
    progress.say(error instanceof Error ? error.message : String(error))
    return 1
  }
}

/** What the inner process needs to know: it reaches no network and no Docker. */
interface Inside {
  readonly directory: string
  readonly parts: Parts
}

async function runInRealCluster(options: Options, inside: Inside, progress: Progress): Promise<void> {
  await using cluster = await startRealCluster(inside.directory, inside.parts, progress)
  // The stand-in for the mailbox is a Node program, and needs more than Mailpit's 64 MiB.
  const values = ['--set=mailbox.resources.limits.memory=256Mi', withoutDigests, ...options.values]
  await runReleases({ ...options, values }, cluster.kubeconfig, true, progress)
}

async function runAll(options: Options, directory: string, progress: Progress): Promise<void> {
  if (options.kubeconfig !== undefined) {
    await runReleases(options, options.kubeconfig, true, progress)
    return
  }
  await using cluster = await startSimulatedCluster(directory, progress)
  await runReleases(options, cluster.kubeconfig, false, progress)
}

async function runReleases(
  options: Options,
  kubeconfig: string,
  doContainersRun: boolean,
  progress: Progress,
): Promise<void> {
  for (const helm of options.helms) {
    const namespace = `saas-cluster-helm-${helm}`
    const release = new Release({ kubeconfig, helm, namespace, name: 'shop', values: options.values })
    progress.begin(`Helm ${helm}`).done(namespace)
    const shopper = doContainersRun ? new Shopper(release) : undefined
    const ownCluster = options.containers ? { memoryOfPods } : undefined
    await liveThrough({ release, progress, shopper, ownCluster })
    if (!options.keep || helm !== options.helms.at(-1)) await release.kubectl('delete', 'namespace', namespace)
  }
}

process.exitCode = await main(process.argv.slice(2))
