import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Client } from 'minio'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startObjectStore, type ObjectStoreServer } from '../src/index.ts'

let directory: string
let store: ObjectStoreServer
let client: Client

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'object-store-'))
  store = await startObjectStore({ directory, accessKey: 'shop', secretKey: 'the right key', bucket: 'saas' })
  client = clientWith('shop', 'the right key')
  await client.putObject('saas', 'picture', 'pixels', 6, { 'Content-Type': 'image/webp' })
})
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

function clientWith(accessKey: string, secretKey: string): Client {
  return new Client({
    endPoint: '127.0.0.1',
    port: store.port,
    useSSL: false,
    region: store.region,
    accessKey,
    secretKey,
  })
}

test('what is stored with the right key comes back with its type', async () => {
  expect(await text(await client.getObject('saas', 'picture'))).toBe('pixels')
  expect((await client.statObject('saas', 'picture')).metaData).toMatchObject({ 'content-type': 'image/webp' })
  expect(await client.bucketExists('saas')).toBe(true)
  await client.makeBucket('another', store.region)
  expect(await client.bucketExists('another')).toBe(true)
})

test.each([
  ['GET', '/saas/picture', {}],
  ['HEAD', '/saas/picture', {}],
  ['PUT', '/saas/mine', {}],
  ['DELETE', '/saas/picture', {}],
  ['GET', '/saas', {}],
  ['GET', '/', {}],
  ['GET', '/saas?uploads', {}],
  ['OPTIONS', '/saas/picture', {}],
  ['POST', '/saas', { 'content-type': 'multipart/form-data; boundary=x' }],
  ['GET', '/saas/picture', { authorization: 'AWS shop:signature' }],
  ['GET', '/saas/picture?AWSAccessKeyId=shop&Signature=x&Expires=9999999999', {}],
])('an anonymous or unsigned %s %s is refused', async (method, path, headers) => {
  expect((await fetch(`${store.endpoint}${path}`, { method, headers })).status).toBe(403)
})

test('a wrong secret, an unknown key and the key S3rver comes with are refused', async () => {
  for (const [accessKey, secretKey] of [
    ['shop', 'a wrong key'],
    ['nobody', 'the right key'],
    ['S3RVER', 'S3RVER'],
  ] as const) {
    await expect(clientWith(accessKey, secretKey).statObject('saas', 'picture')).rejects.toMatchObject({
      name: 'S3Error',
    })
    await expect(clientWith(accessKey, secretKey).putObject('saas', 'picture', 'forged', 6)).rejects.toMatchObject({
      name: 'S3Error',
    })
  }
  expect(await text(await client.getObject('saas', 'picture'))).toBe('pixels')
})

test('an upload of unknown length works: the client asks for unfinished uploads first', async () => {
  const { Readable } = await import('node:stream')
  await client.putObject('saas', 'stream', Readable.from(['some ', 'parts']))
  expect(await text(await client.getObject('saas', 'stream'))).toBe('some parts')
})

test('objects are there after the server is killed and started again', async () => {
  await store.child.kill('SIGKILL')
  await store.child.restart()
  expect(await text(await client.getObject('saas', 'picture'))).toBe('pixels')
})
