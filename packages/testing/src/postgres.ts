import { forgetPostgres, startPostgres, type PostgresServer } from '@saas/devstack'
import { newDirectory } from './servers.ts'

/** A Postgres of a test's own, to be killed (`child.kill()`), frozen (`child.pause()`) and started again (`child.restart()`). */
export type TestPostgres = PostgresServer

/** Starts a Postgres that this test may break. Takes about a second: share it within a file. */
export async function testPostgres(): Promise<TestPostgres> {
  const directory = newDirectory('postgres')
  const server = await startPostgres({ directory, password: 'for-tests', durable: false, inMemory: true })
  return {
    child: server.child,
    port: server.port,
    adminUrl: server.adminUrl,
    dataDirectory: server.dataDirectory,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      forgetPostgres(directory)
    },
  }
}
