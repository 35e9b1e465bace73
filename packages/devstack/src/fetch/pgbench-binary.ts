import { readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../locations.ts'
import type { ProgressStep } from '../progress.ts'
import { hasApt, libraryPath, unpackDebianPackages } from './debian-package.ts'
import { findProgram, isExecutable, run } from './run.ts'

/** The pgbench program, and what it needs in its environment to run from where it was unpacked. */
export interface PgbenchProgram {
  readonly path: string
  readonly environment: Readonly<Record<string, string>>
}

/** Debian names the package by its version; a client of any of these measures the server we bring ourselves. */
const MAJORS = [18, 17, 16, 15, 14]

/**
 * The pgbench program: the one on PATH, the one fetched before, or the one in Debian's package of the machine's own suite. The
 * package of the embedded Postgres has the server only. Throws one sentence when it cannot be had.
 */
export async function pgbenchBinary(step?: ProgressStep, cache = cacheDirectory): Promise<PgbenchProgram> {
  const installed = findProgram('pgbench')
  if (installed !== undefined && (await runs({ path: installed, environment: {} }))) {
    return { path: installed, environment: {} }
  }
  const folder = join(cache, 'pgbench')
  const unpacked = unpackedProgram(folder)
  if (unpacked !== undefined && (await runs(unpacked))) return unpacked
  if (!hasApt()) throw new Error('pgbench is missing: install it (on macOS: brew install postgresql).')

  const failures: string[] = []
  for (const major of MAJORS) {
    step?.update(`fetching the Debian package postgresql-${major}`)
    await rm(folder, { recursive: true, force: true })
    try {
      await unpackDebianPackages([`postgresql-${major}`, 'libpq5'], 'own', folder)
      const program = unpackedProgram(folder)
      if (program !== undefined && (await runs(program))) return program
      failures.push(`postgresql-${major}: its pgbench does not run here`)
    } catch (error) {
      failures.push(`postgresql-${major}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new Error(`pgbench could not be had. ${failures.join('; ')}`)
}

function unpackedProgram(folder: string): PgbenchProgram | undefined {
  for (const major of majorsIn(join(folder, 'usr/lib/postgresql'))) {
    const path = join(folder, 'usr/lib/postgresql', major, 'bin/pgbench')
    if (isExecutable(path)) return { path, environment: libraryPath(folder) }
  }
  return undefined
}

function majorsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

async function runs({ path, environment }: PgbenchProgram): Promise<boolean> {
  return run(path, ['--version'], { environment }).then(
    () => true,
    () => false,
  )
}
