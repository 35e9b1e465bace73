import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { ObjectStore } from '@saas/state'
import { expect, test } from 'vitest'
import { eventually, testObjectStore, type TestObjectStore } from './fixtures.ts'

function connect(
  objects: TestObjectStore,
  changes: { bucket?: string; endpoint?: string; secretKey?: string; timeoutMs?: number } = {},
) {
  return new ObjectStore({
    endpoint: objects.s3Endpoint,
    region: objects.s3Region,
    bucket: objects.s3Bucket,
    accessKey: objects.s3AccessKey,
    secretKey: objects.s3SecretKey,
    timeoutMs: 2_000,
    ...changes,
  })
}

test('an object comes back as it was stored', async () => {
  await using objects = await testObjectStore()
  const store = connect(objects)
  const body = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index % 251))
  await store.put('picture/1', body, { contentType: 'image/webp' })
  const stored = await store.get('picture/1')
  expect(stored).toMatchObject({ size: 70_000, contentType: 'image/webp' })
  expect(stored === undefined ? undefined : await buffer(stored.stream)).toEqual(body)
})

test('an object that is not there is undefined, and deleting it is no error', async () => {
  await using objects = await testObjectStore()
  const store = connect(objects)
  expect(await store.get('missing')).toBeUndefined()
  await store.delete('missing')
  await store.put('here', Buffer.from('x'), { contentType: 'text/plain' })
  await store.delete('here')
  expect(await store.get('here')).toBeUndefined()
  expect(await objects.keys()).toEqual([])
})

test('several replicas may create the bucket at once', async () => {
  await using objects = await testObjectStore()
  const bucket = `${objects.s3Bucket}-new`
  const stores = [connect(objects, { bucket }), connect(objects, { bucket })]
  await Promise.all(stores.map((store) => store.ensureBucket()))
  await stores[0]?.put('here', Buffer.from('x'), { contentType: 'text/plain' })
  expect(await stores[1]?.get('here')).toBeDefined()
})

test('calls that a silent object store does not answer keep no connection from those after them', async () => {
  await using objects = await testObjectStore()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket
      .resume()
      .on('error', () => undefined)
      .on('close', () => sockets.delete(socket))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const store = connect(objects, { endpoint: `http://127.0.0.1:${port}`, timeoutMs: 200 })
  for (let round = 0; round < 2; round += 1) {
    const calls = Array.from({ length: 40 }, () => store.get('x'))
    expect((await Promise.allSettled(calls)).map(({ status }) => status)).not.toContain('fulfilled')
    await eventually(() => expect(sockets.size).toBe(0))
  }
  server.close()
})

test('an object store that is down or refuses the key is a 503', async () => {
  await using objects = await testObjectStore()
  const unavailable = { name: 'DependencyUnavailable', problem: { status: 503 } }
  await expect(connect(objects, { endpoint: 'http://127.0.0.1:9' }).get('x')).rejects.toMatchObject(unavailable)
  await expect(connect(objects, { secretKey: 'wrong' }).get('x')).rejects.toMatchObject(unavailable)
  await expect(connect(objects, { endpoint: 'http://127.0.0.1:9' }).check()).rejects.toMatchObject(unavailable)
  await connect(objects).check()
})
