import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { forgetPostgres, startPostgres, startServers } from '../src/index.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'servers-'))
})
afterEach(() => {
  forgetPostgres(join(directory, 'stack/postgres'))
  rmSync(directory, { recursive: true, force: true })
})

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

test('what was committed is there after Postgres is killed and started again on its port', async () => {
  await using postgres = await startPostgres({ directory, password: 'secret', durable: false })
  await query(postgres.adminUrl, 'create table kept as select 1 as one')
  await postgres.child.kill('SIGKILL')
  await expect(query(postgres.adminUrl, 'select 1')).rejects.toThrow('ECONNREFUSED')
  await postgres.child.restart()
  expect(await query(postgres.adminUrl, 'select one from kept')).toEqual([{ one: 1 }])
  expect(
    await query(
      postgres.adminUrl,
      "select datcollate, current_setting('max_connections') as connections from pg_database where datname = 'postgres'",
    ),
  ).toEqual([{ datcollate: 'C.UTF-8', connections: '300' }])
  rmSync(join(postgres.dataDirectory, '..'), { recursive: true, force: true })
})

test('a server that cannot start says why, with the end of its log, and the others are stopped', async () => {
  await using other = await startPostgres({ directory: join(directory, 'other'), password: 'secret', durable: false })
  const attempt = startServers({
    directory: join(directory, 'stack'),
    only: ['postgres', 'mailbox'],
    ports: { postgres: other.port },
    durable: false,
  })
  await expect(attempt).rejects.toThrow(/Postgres did not start: .*exit code[\s\S]*Address already in use/)
  await using again = await startServers({
    directory: join(directory, 'stack'),
    only: ['postgres', 'mailbox'],
    durable: false,
  })
  expect(await query(again.postgres.adminUrl, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('a paused server answers nobody until it goes on', async () => {
  await using servers = await startServers({ directory, only: ['mailbox'] })
  const { child, httpUrl } = servers.mailbox
  child.pause()
  await expect(fetch(`${httpUrl}/readyz`, { signal: AbortSignal.timeout(200) })).rejects.toThrow('timeout')
  child.resume()
  expect((await fetch(`${httpUrl}/readyz`)).status).toBe(200)
})
