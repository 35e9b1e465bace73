import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Child, freePort, pgbouncerBinary } from '@saas/devstack'
import { Client } from 'pg'
import { newDirectory, sharedServers } from './servers.ts'

const PASSWORD = 'for-tests'

/** A PgBouncer in transaction mode before the run's Postgres. */
export interface TestPooler extends AsyncDisposable {
  /** The URL of a database, through the pooler. */
  through(url: string): string
  restart(): Promise<void>
}

/**
 * Starts PgBouncer as the operators' poolers are set, for the roles of cloned databases. Each role gets `connections` to a
 * database. `undefined` where the program cannot be had.
 */
export async function testPooler(roles: readonly string[], connections: number): Promise<TestPooler | undefined> {
  const program = await pgbouncerBinary()
  if (program === undefined) return undefined
  const directory = newDirectory('pgbouncer')
  const port = await freePort()
  const configuration = join(directory, 'pgbouncer.ini')
  const users = join(directory, 'users.txt')
  writeFileSync(users, roles.map((role) => `"${role}" "${PASSWORD}"\n`).join(''))
  writeFileSync(
    configuration,
    `[databases]
* = host=127.0.0.1 port=${new URL(sharedServers().postgresUrl).port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${users}
pool_mode = transaction
default_pool_size = ${connections}
max_prepared_statements = 200
; What it keeps open would hinder a database from being dropped.
server_idle_timeout = 1
`,
  )
  const child = await Child.start({
    name: 'PgBouncer',
    command: program.command,
    // It refuses to stay root.
    arguments: [...program.arguments, ...(process.getuid?.() === 0 ? ['-u', 'nobody'] : []), configuration],
    logFile: join(directory, 'pgbouncer.log'),
    // At the others it waits until its clients have gone.
    stopSignal: 'SIGQUIT',
    isReady: async () => {
      const client = new Client({ connectionString: `postgres://${roles[0]}:${PASSWORD}@127.0.0.1:${port}/postgres` })
      client.on('error', () => undefined)
      // That it refuses the database is an answer too.
      await client.connect().catch((error: Error & { code?: string }) => {
        if (error.code === 'ECONNREFUSED') throw error
      })
      await client.end().catch(() => undefined)
      return true
    },
  })
  return {
    through: (url) => {
      const changed = new URL(url)
      changed.port = String(port)
      return changed.href
    },
    restart: () => child.restart(),
    [Symbol.asyncDispose]: () => child.stop(),
  }
}
