import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { startPostgres, type PostgresServer } from '@saas/devstack'
import { newDirectory } from './servers.ts'

/** A Postgres of a test's own, to be killed (`child.kill()`), frozen (`child.pause()`) and started again (`child.restart()`). */
export type TestPostgres = PostgresServer

/** Starts a Postgres that this test may break. Takes about a second: share it within a file. */
export async function testPostgres(): Promise<TestPostgres> {
  const server = await startPostgres({ directory: newDirectory('postgres'), password: 'for-tests', durable: false })
  return {
    child: server.child,
    port: server.port,
    adminUrl: server.adminUrl,
    dataDirectory: server.dataDirectory,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      rmSync(dirname(server.dataDirectory), { recursive: true, force: true })
    },
  }
}
