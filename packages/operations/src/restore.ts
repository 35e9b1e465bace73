import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { readConfig, text } from '@saas/config'
import { Backups } from './backups.ts'
import { Bucket } from './bucket.ts'
import { OperationFailed } from './operation-failed.ts'
import { storeVariables, whereOf } from './store-variables.ts'
import { unpackTar } from './tar.ts'

/** Lies in a data folder that came from a backup. Postgres leaves it alone. */
const NOTE = 'restored-from'

const variables = {
  ...storeVariables,
  backup: text('RESTORE_BACKUP', { description: 'Name of a backup, or `latest`', example: 'latest' }),
  directory: text('DATA_DIRECTORY', {
    description: 'Data folder of Postgres, which must not hold a database yet',
    example: '/var/lib/postgresql/18/docker',
  }),
}

/**
 * Fills an empty data folder from a backup. Postgres, started on it, reads the log that is in it and has all databases as they were when the backup
 * ended. The folder appears whole or not at all; asked for the same backup again, this does nothing.
 *
 * @throws {OperationFailed} when there is a database already, no such backup, or the backup is damaged.
 */
export async function restore(environment: NodeJS.ProcessEnv, report: (line: string) => void): Promise<void> {
  const config = readConfig(variables, environment)
  const { directory } = config
  const wanted = `${config.prefix} ${config.backup}\n`
  if (existsSync(join(directory, 'PG_VERSION'))) {
    const note = await readFile(join(directory, NOTE), 'utf8').catch(() => '')
    if (note === wanted) return report(`${config.backup}: restored before`)
    throw new OperationFailed(
      `There is a database in ${directory} already, and a restore overwrites none: delete its volume first, or take the wish to restore (postgres.restore.backup) back.`,
    )
  }
  const draft = `${directory}.part`
  await rm(draft, { recursive: true, force: true })
  const backups = new Backups(new Bucket(whereOf(config)), config.prefix)
  const summary = await backups.summary(config.backup)
  await mkdir(draft, { recursive: true, mode: 0o700 })
  const archive = createGunzip()
  const source = Readable.from(backups.read(summary)).on('error', (error) => archive.destroy(error))
  const { files } = await unpackTar(source.pipe(archive), draft).catch((error: unknown) => {
    if (error instanceof OperationFailed) throw error
    throw new OperationFailed(`The backup ${summary.name} is damaged: ${String(error)}`, { cause: error })
  })
  await writeFile(join(draft, NOTE), wanted)
  // The folder itself may have been made for us, empty.
  if (existsSync(directory) && (await readdir(directory)).length > 0)
    throw new OperationFailed(
      `${directory} is not empty, and no database either: look what it is before you delete it.`,
    )
  await rm(directory, { recursive: true, force: true })
  await mkdir(dirname(directory), { recursive: true })
  await rename(draft, directory)
  report(`${summary.name}: restored, ${files} files of Postgres ${summary.serverVersion}`)
}
