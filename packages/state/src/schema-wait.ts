import { readdir } from 'node:fs/promises'
import { parse } from 'node:path'
import { Client, escapeIdentifier } from 'pg'
import { database, readConfig } from '@saas/config'
import { isConnectionLoss } from './errors.ts'
import { pause } from './pause.ts'

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
  while (!(await isThere(all, url))) await pause(STEP_MS, new AbortController().signal)
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
    if (isConnectionLoss(error)) return false
    if (error instanceof Error && 'code' in error && NOT_YET.has(String(error.code))) return false
    throw error
  } finally {
    await client.end().catch(() => undefined)
  }
}
