import { createGzip } from 'node:zlib'
import { integer, readConfig, systemClock, url } from '@saas/config'
import { startBaseBackup } from './base-backup.ts'
import { backupName, Backups } from './backups.ts'
import { Bucket } from './bucket.ts'
import { storeVariables, whereOf } from './store-variables.ts'

const GZIP_LEVEL = 3
const MEBIBYTE = 1024 ** 2

const variables = {
  ...storeVariables,
  databaseUrl: url('BACKUP_DATABASE_URL', ['postgres', 'postgresql'], {
    description: 'Postgres as a role that may replicate, directly',
    secret: true,
    example: 'postgres://backup:password@localhost:5432/postgres',
  }),
  keep: integer('BACKUP_KEEP', 1, 1_000, { description: 'How many backups are kept', default: '7' }),
  partMebibytes: integer('BACKUP_PART_MEBIBYTES', 1, 64, {
    description: 'Size of an object; two are in memory at a time',
    default: '16',
  }),
}

/**
 * Backs up a whole Postgres to an object store, compressed, in one stream: nothing is written to a disk on the way. Then removes
 * what is older than the newest `BACKUP_KEEP`; when the backup fails, nothing is removed.
 */
export async function backUp(environment: NodeJS.ProcessEnv, report: (line: string) => void): Promise<void> {
  const config = readConfig(variables, environment)
  const backups = new Backups(new Bucket(whereOf(config)), config.prefix)
  const startedAt = systemClock.now()
  const name = backupName(startedAt)
  await using copy = await startBaseBackup(config.databaseUrl, name)
  const compressed = createGzip({ level: GZIP_LEVEL })
  copy.archive.on('error', (error) => compressed.destroy(error))
  const { parts } = await backups.store(
    copy.archive.pipe(compressed),
    { name, serverVersion: copy.serverVersion, startedAt: startedAt.toISOString() },
    { partBytes: config.partMebibytes * MEBIBYTE, now: () => systemClock.now() },
  )
  const bytes = parts.reduce((sum, { size }) => sum + size, 0)
  report(`${name}: whole, ${(bytes / MEBIBYTE).toFixed(1)} MiB in ${parts.length} parts`)
  for (const removed of await backups.prune(config.keep, systemClock.now())) report(`${removed}: removed`)
}

/** Prints the whole backups, oldest first. */
export async function listBackups(environment: NodeJS.ProcessEnv, report: (line: string) => void): Promise<void> {
  const config = readConfig(storeVariables, environment)
  const backups = new Backups(new Bucket(whereOf(config)), config.prefix)
  for (const name of await backups.list()) {
    const { serverVersion, finishedAt, parts } = await backups.summary(name)
    const bytes = parts.reduce((sum, { size }) => sum + size, 0)
    report(`${name}  Postgres ${serverVersion}  ${(bytes / MEBIBYTE).toFixed(1)} MiB  until ${finishedAt}`)
  }
}
