import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { devstackDirectory, startServers } from '@saas/devstack'
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

/** Names the folder of Postgres' data, which may be elsewhere. */
const DATA_NOTE = 'postgres-data'

/**
 * Starts what all test files share, once a run: Postgres and the object store. It starts NATS and the mailbox too, so
 * that their programs are there; each test has its own of those.
 *
 * Every run has its own folder, so that several runs at once do not meet.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const runs = join(devstackDirectory, 'test')
  mkdirSync(runs, { recursive: true })
  for (const name of readdirSync(runs)) {
    if (!isAlive(Number(name.split('-')[1]))) removeRun(join(runs, name))
  }
  const directory = mkdtempSync(join(runs, `run-${process.pid}-`))
  const servers = await startServers({ directory, durable: false })
  writeFileSync(join(directory, DATA_NOTE), dirname(servers.postgres.dataDirectory))
  const { endpoint, region, accessKey, secretKey } = servers.objectStore
  project.provide('servers', {
    directory,
    postgresUrl: servers.postgres.adminUrl,
    objectStore: { endpoint, region, accessKey, secretKey },
  })
  return async () => {
    await servers.stop()
    removeRun(directory)
  }
}

function removeRun(directory: string): void {
  const note = join(directory, DATA_NOTE)
  if (existsSync(note)) rmSync(readFileSync(note, 'utf8'), { recursive: true, force: true })
  rmSync(directory, { recursive: true, force: true })
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
