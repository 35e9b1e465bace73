import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../locations.ts'
import type { ProgressStep } from '../progress.ts'
import { dependenciesOf, hasApt, isLibrary, librariesOf, unpackDebianPackages } from './debian-package.ts'
import { findProgram, isExecutable, run } from './run.ts'

/** A program, and what it needs in its environment to run from where it was unpacked. */
export interface NginxProgram {
  readonly path: string
  readonly environment: Readonly<Record<string, string>>
}

/**
 * The nginx program: the one on PATH, the one fetched before, or Debian's package of the machine's own suite (newer suites
 * need a newer OpenSSL than the machine may have). Throws one sentence when it cannot be had.
 */
export async function nginxBinary(step?: ProgressStep, cache = cacheDirectory): Promise<NginxProgram> {
  const installed = findProgram('nginx')
  if (installed !== undefined) return { path: installed, environment: {} }
  const folder = join(cache, 'nginx')
  const unpacked = { path: join(folder, 'usr/sbin/nginx'), environment: librariesOf(folder) }
  if (isExecutable(unpacked.path) && (await runs(unpacked))) return unpacked
  if (!hasApt()) throw new Error('nginx is missing: install it (on macOS: brew install nginx) or use Docker.')

  step?.update('fetching the Debian package')
  await rm(folder, { recursive: true, force: true })
  await unpackDebianPackages(['nginx'], 'own', folder)
  if (await runs(unpacked)) return unpacked

  step?.update('fetching its libraries')
  await unpackDebianPackages(
    ['nginx', ...(await dependenciesOf('nginx', 'own', folder)).filter(isLibrary)],
    'own',
    folder,
  )
  if (await runs(unpacked)) return unpacked
  const reason = await run(unpacked.path, ['-v'], unpacked).catch((error: Error) => error.message)
  throw new Error(`The nginx of Debian's package does not run on this machine: ${reason}`)
}

async function runs({ path, environment }: NginxProgram): Promise<boolean> {
  return run(path, ['-v'], { environment }).then(
    () => true,
    () => false,
  )
}
