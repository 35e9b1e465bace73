import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { logsDirectory } from '../locations.ts'
import type { Progress } from '../progress.ts'
import { startServers } from '../servers.ts'
import { forgetPostgres } from '../servers/postgres.ts'
import type { ServerAddresses } from './environment.ts'
import type { StackSecrets } from './secrets.ts'
import { keepRunning } from './supervision.ts'

export interface RunningServers extends AsyncDisposable {
  readonly addresses: ServerAddresses
  /** Files that live and die with Postgres' data, to note there what was done to it: what it was provisioned with, and that it was seeded. */
  readonly provisionedNote?: string
  readonly seededNote?: string
  /** Where the secret of the administrator's authenticator app is kept: it belongs to this data and to no other. */
  readonly totpFile: string
}

export const TOTP_FILE = 'admin-totp-secret'

/** Starts the servers as local processes, and again when one is killed. */
export async function startLocalServers(options: {
  readonly directory: string
  readonly secrets: StackSecrets
  readonly mailboxPort: number
  readonly progress: Progress
  readonly say: (text: string) => void
}): Promise<RunningServers> {
  const { directory, secrets, mailboxPort, progress, say } = options
  const servers = await startServers({
    directory,
    logsDirectory,
    progress,
    secrets: secrets.servers,
    ports: { mailbox: mailboxPort },
  })
  const { postgres, nats, objectStore, mailbox } = servers
  const supervision = [postgres, nats, objectStore, mailbox].map(({ child }) => keepRunning(child, say))
  return {
    addresses: {
      postgresUrl: postgres.adminUrl,
      natsUrl: nats.url,
      s3Endpoint: objectStore.endpoint,
      s3Region: objectStore.region,
      s3Bucket: objectStore.bucket,
      smtpUrl: mailbox.smtpUrl,
    },
    provisionedNote: join(postgres.dataDirectory, 'saas-provisioned'),
    seededNote: join(postgres.dataDirectory, 'saas-seeded'),
    totpFile: join(directory, TOTP_FILE),
    [Symbol.asyncDispose]: async () => {
      for (const supervised of supervision) supervised[Symbol.dispose]()
      await servers.stop()
    },
  }
}

/** Removes all data of earlier runs. */
export function forgetLocalData(directory: string): void {
  forgetPostgres(join(directory, 'postgres'))
  rmSync(directory, { recursive: true, force: true })
}
