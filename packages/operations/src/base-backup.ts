import { PassThrough, type Readable } from 'node:stream'
import { Client, type Connection, type Submittable } from 'pg'
import { OperationFailed } from './operation-failed.ts'

const CONNECT_TIMEOUT_MS = 10_000
const [ARCHIVE, MANIFEST, DATA] = ['n', 'm', 'd'].map((letter) => letter.charCodeAt(0))

/** A copy of a whole Postgres as it was at one moment, while it is made. */
export interface BaseBackup extends AsyncDisposable {
  readonly serverVersion: string
  /** A tar archive. It ends only when Postgres said that it is whole; whatever goes wrong before is its error. */
  readonly archive: Readable
}

/**
 * Asks Postgres itself for a base backup, as pg_basebackup does, over its replication protocol: files as they are, and the log
 * between start and end, so that the copy needs nothing else. All databases are in it as they were when it ended.
 *
 * @throws {OperationFailed} when Postgres cannot be reached or refuses the role.
 */
export async function startBaseBackup(url: string, label: string): Promise<BaseBackup> {
  const options = { connectionString: url, replication: 'true', connectionTimeoutMillis: CONNECT_TIMEOUT_MS }
  const client = new Client(options)
  client.on('error', () => undefined)
  const { hostname, username } = new URL(url)
  try {
    await client.connect()
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version')
    // These commands are no SQL, and know capitals only. This one keeps the log that the copy will need; it goes with the connection.
    await client.query(`CREATE_REPLICATION_SLOT "saas_backup_${process.pid}" TEMPORARY PHYSICAL RESERVE_WAL`)
    const archive = new PassThrough({ highWaterMark: 1024 ** 2 })
    client.on('end', () => archive.destroy(new OperationFailed(`Postgres at ${hostname} hung up during the backup.`)))
    client.query(new ArchiveCopy(`BASE_BACKUP (LABEL '${label}', CHECKPOINT 'fast', WAL true, MANIFEST 'no')`, archive))
    return {
      serverVersion: rows[0]?.server_version ?? '',
      archive,
      [Symbol.asyncDispose]: async () => {
        archive.on('error', () => undefined).destroy()
        client.connection.stream.destroy()
        await client.end().catch(() => undefined)
      },
    }
  } catch (error) {
    await client.end().catch(() => undefined)
    const said = error instanceof Error ? error.message : String(error)
    throw new OperationFailed(`Postgres at ${hostname} gives ${username} no backup: ${said}`, { cause: error })
  }
}

/** Postgres ≥ 15 sends all archives in one copy, each message with a letter in front. */
class ArchiveCopy implements Submittable {
  readonly #statement: string
  readonly #archive: PassThrough
  #archives = 0
  #isManifest = false
  #error: Error | undefined

  constructor(statement: string, archive: PassThrough) {
    this.#statement = statement
    this.#archive = archive
  }

  submit(connection: Connection): void {
    connection.query(this.#statement)
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }, connection: Connection): void {
    const [kind] = chunk
    if (kind === ARCHIVE && (this.#archives += 1) > 1) {
      this.#archive.destroy(
        new OperationFailed('This Postgres has tablespaces outside of its data folder; those are not backed up.'),
      )
    }
    if (kind === MANIFEST) this.#isManifest = true
    if (kind !== DATA || this.#isManifest || this.#archive.destroyed) return
    // What is read is a part of a buffer that will be used again.
    if (this.#archive.write(Buffer.from(chunk.subarray(1)))) return
    connection.stream.pause()
    this.#archive.once('drain', () => connection.stream.resume())
  }

  handleError(error: Error): void {
    this.#error = error
    this.#archive.destroy(new OperationFailed(`Postgres broke the backup off: ${error.message}`, { cause: error }))
  }

  handleReadyForQuery(): void {
    if (this.#error === undefined) this.#archive.end()
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
}
