import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { testObjectStore, testPostgres } from '@saas/testing'
import { expect, test } from 'vitest'
import { startBaseBackup } from '../src/base-backup.ts'
import { backupName, Backups } from '../src/backups.ts'
import { Bucket } from '../src/bucket.ts'
import { restore } from '../src/restore.ts'

const DAY_MS = 24 * 3_600_000
const now = new Date('2026-11-22T12:00:00Z')
const daysAgo = (days: number): Date => new Date(now.getTime() - days * DAY_MS)

async function testBackups() {
  const store = await testObjectStore()
  const {
    s3Endpoint: endpoint,
    s3Region: region,
    s3Bucket: name,
    s3AccessKey: accessKey,
    s3SecretKey: secretKey,
  } = store
  const bucket = new Bucket({ endpoint, region, bucket: name, accessKey, secretKey })
  const backups = new Backups(bucket, 'shops/shop-postgres')
  const keep = async (startedAt: Date, archive = Readable.from([Buffer.from('archive')])) =>
    await backups.store(
      archive,
      { name: backupName(startedAt), serverVersion: '18.4', startedAt: startedAt.toISOString() },
      { partBytes: 1024, now: () => now },
    )
  return { bucket, backups, keep, store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() }
}

/** As tar begins a file; without the two blocks at the end, so it is cut off. */
function tarOf(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write('0000600', 100)
  header.write(content.length.toString(8).padStart(11, '0'), 124)
  header.write('0', 156)
  header.fill(' ', 148, 156)
  header.write(
    header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0'),
    148,
  )
  return Buffer.concat([header, content])
}

async function* cutOff(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(4_096)
  await Promise.resolve()
  throw new Error('cut off')
}

test('a backup during which Postgres dies is none', async () => {
  await using kept = await testBackups()
  await using server = await testPostgres()
  await kept.keep(daysAgo(1))
  await using copy = await startBaseBackup(server.adminUrl, 'test')
  async function* dying(): AsyncGenerator<Buffer> {
    let isFirst = true
    for await (const chunk of copy.archive as AsyncIterable<Buffer>) {
      yield chunk
      if (isFirst) await server.child.kill()
      isFirst = false
    }
  }
  await expect(kept.keep(now, Readable.from(dying()))).rejects.toThrow(/hung up|broke the backup off/)
  expect((await kept.store.keys()).length).toBeGreaterThan(2)
  expect(await kept.backups.list()).toEqual([backupName(daysAgo(1))])
  expect((await kept.backups.summary('latest')).name).toBe(backupName(daysAgo(1)))
})

test('retention removes the oldest and what was long cut off, and nothing else', async () => {
  await using kept = await testBackups()
  for (const days of [5, 3, 2, 1]) await kept.keep(daysAgo(days))
  for (const days of [4, 0.5])
    await expect(kept.keep(daysAgo(days), Readable.from(cutOff()))).rejects.toThrow('cut off')
  await kept.bucket.put('shops/shop-postgres/notes.txt', Buffer.from('mine'))
  await kept.bucket.put('shops/other-postgres/20200101T000000Z/backup.json', Buffer.from('theirs'))
  expect(await kept.backups.prune(3, now)).toEqual([daysAgo(5), daysAgo(4)].map(backupName))
  expect(await kept.backups.list()).toEqual([3, 2, 1].map((days) => backupName(daysAgo(days))))
  expect(await kept.backups.prune(3, now)).toEqual([])
  const keys = await kept.store.keys()
  expect(keys).toContain('shops/shop-postgres/notes.txt')
  expect(keys).toContain('shops/other-postgres/20200101T000000Z/backup.json')
  expect(keys.filter((key) => key.includes(backupName(daysAgo(0.5)))).length).toBeGreaterThan(0)
})

test('a backup of which something is missing or changed is refused, and no data folder is made', async () => {
  await using kept = await testBackups()
  const archive = gzipSync(tarOf('file', randomBytes(8_192)))
  const { name } = await kept.keep(now, Readable.from([archive.subarray(0, 4_096), archive.subarray(4_096)]))
  const folder = mkdtempSync(join(tmpdir(), 'saas-restore-'))
  const again = async (): Promise<void> => {
    const { s3Endpoint, s3Bucket, s3AccessKey, s3SecretKey } = kept.store
    await restore(
      {
        S3_ENDPOINT: s3Endpoint,
        S3_BUCKET: s3Bucket,
        S3_ACCESS_KEY: s3AccessKey,
        S3_SECRET_KEY: s3SecretKey,
        BACKUP_PREFIX: 'shops/shop-postgres',
        RESTORE_BACKUP: name,
        DATA_DIRECTORY: join(folder, 'data'),
      },
      () => undefined,
    )
  }
  try {
    await expect(again()).rejects.toThrow('The archive is cut off.')
    const part = `shops/shop-postgres/${name}/00000002`
    // As long as before, but another.
    await kept.bucket.put(part, Buffer.alloc(archive.length - 4_096, 3))
    await expect(again()).rejects.toThrow(`Part 2 of the backup ${name} is not what was stored.`)
    await kept.bucket.remove(part)
    await expect(again()).rejects.toThrow(`The backup ${name} lacks its part 2 of 2.`)
    expect(existsSync(join(folder, 'data'))).toBe(false)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
