import { readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../locations.ts'
import type { ProgressStep } from '../progress.ts'
import { dependenciesOf, hasApt, isLibrary, librariesOf, unpackDebianPackages } from './debian-package.ts'
import { findProgram, isExecutable, run } from './run.ts'

/** A program of Postgres, and what it needs in its environment to run from where it was unpacked. */
export interface PostgresProgram {
  readonly path: string
  readonly environment: Readonly<Record<string, string>>
}

/** A client of this version or a newer one speaks to the server we bring ourselves. */
const MAJOR_MIN = 14
/** Depends on the package of the suite's own version, whose name has it at its end. */
const CLIENT = 'postgresql-client'

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

  step?.update(`fetching the Debian package ${packageName}`)
  await rm(folder, { recursive: true, force: true })
  try {
    const dependencies = await dependenciesOf(CLIENT, 'own', folder, { recurse: true })
    const client = dependencies.find((dependency) => /^postgresql-client-\d+$/.test(dependency)) ?? CLIENT
    const versioned = packageName + client.slice(CLIENT.length)
    await unpackDebianPackages([versioned, ...dependencies.filter(isLibrary)], 'own', folder)
  } catch (error) {
    throw new Error(`${name} could not be had: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
  const program = unpackedProgram(folder, name)
  if (program === undefined || !(await runs(program))) {
    throw new Error(`${name} could not be had: the one of Debian's ${packageName} does not run here`)
  }
  return program
}

function unpackedProgram(folder: string, name: string): PostgresProgram | undefined {
  for (const major of majorsIn(join(folder, 'usr/lib/postgresql'))) {
    const path = join(folder, 'usr/lib/postgresql', major, 'bin', name)
    if (isExecutable(path)) return { path, environment: librariesOf(folder) }
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
  return Number(version?.[1] ?? 0) >= MAJOR_MIN
}
