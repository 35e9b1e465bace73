import { readdir } from 'node:fs/promises'
import { parse } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client, escapeIdentifier } from 'pg'
import { database, readConfig } from '@saas/config'
import { isConnectionLoss } from './errors.ts'

const CONNECT_TIMEOUT_MS = 10_000
const STEP_MS = 500
/** The database is made by somebody else, perhaps later than us: its address, it, its role, our right to it, its tables. */
const NOT_YET = new Set(['3D000', '28P01', '28000', '42501', '42P01', 'ENOTFOUND', 'EAI_AGAIN'])

/** A folder of migrations, and the table in which those that ran are listed. */
interface Migrations {
  readonly table: string
  readonly directory: string
}

/**
 * Waits until every migration of the folders has run. More may have: an older program works with a newer schema. There is no
 * deadline, because whoever started us has one.
 */
export async function waitForSchema(
  all: readonly Migrations[],
  url = readConfig({ url: database.databaseUrl }).url,
): Promise<void> {
  // Nothing else keeps the program alive meanwhile.
  while (!(await isThere(all, url))) await delay(STEP_MS)
}

/** Whether a database that is being made could answer so. */
export function isNotYetThere(error: unknown): boolean {
  return isConnectionLoss(error) || (error instanceof Error && 'code' in error && NOT_YET.has(String(error.code)))
}

async function isThere(all: readonly Migrations[], connectionString: string): Promise<boolean> {
  const client = new Client({
    connectionString,
    application_name: 'wait-for-schema',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    for (const { table, directory } of all) {
      const names = (await readdir(directory)).filter((file) => file.endsWith('.sql')).map((file) => parse(file).name)
      const { rows } = await client.query<{ run: number }>(
        `select count(*)::int as run from ${escapeIdentifier(table)} where name = any($1)`,
        [names],
      )
      if (rows[0]?.run !== names.length) return false
    }
    return true
  } catch (error) {
    if (isNotYetThere(error)) return false
    throw error
  } finally {
    await client.end().catch(() => undefined)
  }
}
