import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { devstackDirectory, forgetPostgres, killChildren, startServers, stopLeftovers } from '@saas/devstack'
import type { TestProject } from 'vitest/node'

/** Where the servers of this run are, for the fixtures. */
export interface TestServers {
  /** Of this run; removed at its end. */
  readonly directory: string
  readonly postgresUrl: string
  readonly objectStore: {
    readonly endpoint: string
    readonly region: string
    readonly accessKey: string
    readonly secretKey: string
  }
}

declare module 'vitest' {
  interface ProvidedContext {
    servers: TestServers
  }
}

/**
 * Starts what all test files share, once a run: Postgres and the object store. It starts NATS and the mailbox too, so
 * that their programs are there; each test has its own of those.
 *
 * Every run has its own folder, so that several runs at once do not meet.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const runs = join(devstackDirectory, 'test')
  mkdirSync(runs, { recursive: true })
  // A server that a killed run left behind would go on to write into what is removed here.
  await stopLeftovers()
  for (const name of readdirSync(runs)) {
    if (!isAlive(Number(name.split('-')[1]))) removeRun(join(runs, name))
  }
  const directory = mkdtempSync(join(runs, `run-${process.pid}-`))
  // At Ctrl-C Vitest exits and takes nothing down.
  const end = (): void => {
    killChildren()
    try {
      removeRun(directory)
    } catch {
      // What a server that is ending still writes the next run removes.
    }
  }
  process.once('exit', end)
  const servers = await startServers({ directory, durable: false })
  const { endpoint, region, accessKey, secretKey } = servers.objectStore
  project.provide('servers', {
    directory,
    postgresUrl: servers.postgres.adminUrl,
    objectStore: { endpoint, region, accessKey, secretKey },
  })
  return async () => {
    await servers.stop()
    process.off('exit', end)
    removeRun(directory)
  }
}

function removeRun(directory: string): void {
  // Their data may be elsewhere: the shared server's, and those of the tests' own (`postgres-…`).
  for (const name of ['postgres', ...readdirSync(directory).filter((entry) => entry.startsWith('postgres-'))])
    forgetPostgres(join(directory, name))
  rmSync(directory, { recursive: true, force: true })
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
