import { readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../locations.ts'
import type { ProgressStep } from '../progress.ts'
import { hasApt, libraryPath, unpackDebianPackages } from './debian-package.ts'
import { findProgram, isExecutable, run } from './run.ts'

/** A program of Postgres, and what it needs in its environment to run from where it was unpacked. */
export interface PostgresProgram {
  readonly path: string
  readonly environment: Readonly<Record<string, string>>
}

/** Debian names the packages by their version; a client of any of these speaks to the server we bring ourselves. */
const MAJORS = [18, 17, 16, 15, 14]

/**
 * The pgbench program: the one on PATH, the one fetched before, or the one in Debian's package of the machine's own suite. The
 * package of the embedded Postgres has the server only. Throws one sentence when it cannot be had.
 */
export async function pgbenchBinary(step?: ProgressStep, cache = cacheDirectory): Promise<PostgresProgram> {
  return await postgresProgram('pgbench', 'postgresql', step, cache)
}

/** The psql program, had in the same ways. It is at least 14, which brought `\getenv`. Throws one sentence when it cannot be had. */
export async function psqlBinary(step?: ProgressStep, cache = cacheDirectory): Promise<PostgresProgram> {
  return await postgresProgram('psql', 'postgresql-client', step, cache)
}

async function postgresProgram(
  name: string,
  packageName: string,
  step: ProgressStep | undefined,
  cache: string,
): Promise<PostgresProgram> {
  const installed = findProgram(name)
  if (installed !== undefined && (await runs({ path: installed, environment: {} }))) {
    return { path: installed, environment: {} }
  }
  const folder = join(cache, name)
  const unpacked = unpackedProgram(folder, name)
  if (unpacked !== undefined && (await runs(unpacked))) return unpacked
  if (!hasApt()) throw new Error(`${name} is missing: install it (on macOS: brew install postgresql).`)

  const failures: string[] = []
  for (const major of MAJORS) {
    step?.update(`fetching the Debian package ${packageName}-${major}`)
    await rm(folder, { recursive: true, force: true })
    try {
      await unpackDebianPackages([`${packageName}-${major}`, 'libpq5'], 'own', folder)
      const program = unpackedProgram(folder, name)
      if (program !== undefined && (await runs(program))) return program
      failures.push(`${packageName}-${major}: its ${name} does not run here`)
    } catch (error) {
      failures.push(`${packageName}-${major}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new Error(`${name} could not be had. ${failures.join('; ')}`)
}

function unpackedProgram(folder: string, name: string): PostgresProgram | undefined {
  for (const major of majorsIn(join(folder, 'usr/lib/postgresql'))) {
    const path = join(folder, 'usr/lib/postgresql', major, 'bin', name)
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

async function runs({ path, environment }: PostgresProgram): Promise<boolean> {
  const version = /(\d+)(\.|devel|beta|rc)/.exec(await run(path, ['--version'], { environment }).catch(() => ''))
  return Number(version?.[1] ?? 0) >= Math.min(...MAJORS)
}
