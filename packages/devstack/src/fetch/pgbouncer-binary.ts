import { globSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../locations.ts'
import { dependenciesOf, hasApt, isLibrary, unpackDebianPackages } from './debian-package.ts'
import { findProgram, run } from './run.ts'

/** PgBouncer 1.21 brought named statements to transaction pooling, which ours are. */
const MINOR_VERSION_MIN = 21
const SUITE = 'trixie'

/** How PgBouncer is started: the command, and what stands before its own arguments. */
export interface PgbouncerProgram {
  readonly command: string
  readonly arguments: readonly string[]
}

/**
 * The pgbouncer program: the one on PATH, or Debian's package. Older suites have one that is too old, so it is unpacked with
 * the C library and the loader of its own suite. `undefined` when none can be had.
 */
export async function pgbouncerBinary(cache = cacheDirectory): Promise<PgbouncerProgram | undefined> {
  const installed = findProgram('pgbouncer')
  if (installed !== undefined && (await isNewEnough({ command: installed, arguments: [] })))
    return { command: installed, arguments: [] }
  const folder = join(cache, 'pgbouncer')
  const cached = unpackedProgram(folder)
  if (cached !== undefined && (await isNewEnough(cached))) return cached
  if (!hasApt()) return undefined
  await rm(folder, { recursive: true, force: true })
  try {
    const libraries = (await dependenciesOf('pgbouncer', SUITE, folder)).filter(isLibrary)
    await unpackDebianPackages(['pgbouncer', 'libc6', ...libraries], SUITE, folder)
  } catch {
    return undefined
  }
  const unpacked = unpackedProgram(folder)
  return unpacked !== undefined && (await isNewEnough(unpacked)) ? unpacked : undefined
}

function unpackedProgram(folder: string): PgbouncerProgram | undefined {
  const [loader] = globSync('usr/lib/*/ld-linux-*.so.*', { cwd: folder })
  if (loader === undefined) return undefined
  const command = join(folder, loader)
  return { command, arguments: ['--library-path', join(command, '..'), join(folder, 'usr/sbin/pgbouncer')] }
}

async function isNewEnough({ command, arguments: before }: PgbouncerProgram): Promise<boolean> {
  const version = /PgBouncer (\d+)\.(\d+)/.exec(await run(command, [...before, '--version']).catch(() => ''))
  return version !== null && (Number(version[1]) > 1 || Number(version[2]) >= MINOR_VERSION_MIN)
}
