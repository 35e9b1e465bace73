import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { run, findProgram } from './run.ts'

/** Where a package is taken from: a suite of the Debian archive, or whatever the machine itself is set up for. */
export type Suite = 'sid' | 'trixie' | 'own'

/** Longer than any fetch takes; another process may be at one. */
const CUT_OFF_MS = 15 * 60_000

/** Whether this machine can fetch and unpack Debian packages at all. */
export function hasApt(): boolean {
  return ['apt-get', 'apt-config', 'dpkg'].every((program) => findProgram(program) !== undefined)
}

/**
 * Fetches a Debian package and unpacks it into a folder, without installing anything: a private apt configuration, so
 * neither root nor the machine's package lists are needed, and apt still checks signature and digest. Every package named
 * after the first is unpacked into the same folder (libraries the first one needs).
 */
export async function unpackDebianPackages(packages: readonly string[], suite: Suite, target: string): Promise<void> {
  const work = await makeWorkFolder(target)
  try {
    const environment = await privateApt(work, suite)
    await run('apt-get', ['update', '-q'], { environment })
    const downloads = join(work, 'downloads')
    await mkdir(downloads)
    await run('apt-get', ['download', '-q', ...packages], { environment, directory: downloads })
    const root = join(work, 'root')
    await mkdir(root)
    for (const archive of await readdir(downloads)) await run('dpkg', ['-x', join(downloads, archive), root])
    await putInPlace(root, target)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** The packages that a package depends on, as the suite's own list has them; `recurse` adds those that they depend on. */
export async function dependenciesOf(
  name: string,
  suite: Suite,
  workBase: string,
  { recurse = false }: { readonly recurse?: boolean } = {},
): Promise<string[]> {
  const work = await makeWorkFolder(workBase)
  try {
    const environment = await privateApt(work, suite)
    await run('apt-get', ['update', '-q'], { environment })
    const only = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map((kind) => `--no-${kind}`)
    const listed = await run('apt-cache', ['depends', ...only, ...(recurse ? ['--recurse'] : []), name], {
      environment,
    })
    return [...new Set([...listed.matchAll(/Depends: (\S+)/g)].map((match) => match[1] ?? ''))]
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Whether the package is a library other than the C library, which belongs to its loader. */
export function isLibrary(name: string): boolean {
  return /^(lib(?!c6$)|zlib)/.test(name)
}

/** Where Debian's packages put libraries; empty folders do no harm. */
export function librariesOf(folder: string): Record<string, string> {
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
  return { LD_LIBRARY_PATH: [`${folder}/usr/lib/${triplet}`, `${folder}/lib/${triplet}`].join(':') }
}

/** A folder beside the target, to make it in. What a fetch left there that was cut off long ago is removed: package lists are large. */
export async function makeWorkFolder(target: string): Promise<string> {
  const [directory, prefix] = [dirname(target), `${basename(target)}.part-`]
  await mkdir(directory, { recursive: true })
  for (const name of await readdir(directory)) {
    if (!name.startsWith(prefix)) continue
    const left = join(directory, name)
    const changed = await stat(left).catch(() => undefined)
    if (changed !== undefined && Date.now() - changed.mtimeMs > CUT_OFF_MS)
      await rm(left, { recursive: true, force: true })
  }
  return await mkdtemp(join(directory, prefix))
}

/** Moves a finished folder to its place. Another process may have been faster; its result is as good. */
export async function putInPlace(source: string, target: string): Promise<void> {
  await rm(target, { recursive: true, force: true })
  await rename(source, target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
  })
}

async function privateApt(work: string, suite: Suite): Promise<Record<string, string>> {
  await mkdir(join(work, 'state/lists/partial'), { recursive: true })
  await mkdir(join(work, 'cache/archives/partial'), { recursive: true })
  await writeFile(join(work, 'status'), '')
  const settings = [
    ...(await machineSettings()),
    `Dir::State "${work}/state";`,
    `Dir::State::status "${work}/status";`,
    `Dir::Cache "${work}/cache";`,
    // The machine's own configuration files may hold hooks that only root can run.
    'Dir::Etc::Main "/dev/null";',
    'Dir::Etc::Parts "/dev/null";',
    'APT::Sandbox::User "";',
    'Acquire::Languages "none";',
    'Acquire::Retries "2";',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";',
    'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";',
  ]
  if (suite !== 'own') {
    await writeFile(join(work, 'sources.list'), `deb ${await debianMirror()} ${suite} main\n`)
    settings.push(`Dir::Etc::sourcelist "${work}/sources.list";`, 'Dir::Etc::sourceparts "/dev/null";')
  }
  await writeFile(join(work, 'apt.conf'), `${settings.join('\n')}\n`)
  return { APT_CONFIG: join(work, 'apt.conf'), LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' }
}

/** How the machine reaches its mirrors (proxies, time-outs, certificates, snapshots whose lists have expired). */
async function machineSettings(): Promise<string[]> {
  const settings = await run('apt-config', ['dump']).catch(() => '')
  return settings
    .split('\n')
    .filter((line) => /^Acquire::(https?|ftp|Retries|ForceIPv4|Check-Valid-Until|Check-Date)\b/i.test(line))
}

/** The mirror that the machine's own apt sources name, which serves other suites too. Asked so, apt needs no lists and no root. */
async function debianMirror(): Promise<string> {
  const listed = await run('apt-get', ['update', '--print-uris']).catch(() => '')
  const mirror = /^'(\S+\/debian)\/dists\//m.exec(listed)?.[1]
  if (mirror === undefined) throw new Error('the apt sources of this machine name no Debian mirror')
  return mirror
}
