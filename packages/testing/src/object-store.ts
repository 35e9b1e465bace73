import { randomBytes } from 'node:crypto'
import { Client } from 'minio'
import { sharedServers } from './servers.ts'

/** A bucket of a test's own, as a service's configuration names it. Disposing empties and removes it. */
export interface TestObjectStore extends AsyncDisposable {
  readonly s3Endpoint: string
  readonly s3Region: string
  readonly s3Bucket: string
  readonly s3AccessKey: string
  readonly s3SecretKey: string
  /** Every key that is stored now. */
  keys(): Promise<string[]>
}

/** Makes a bucket on the run's object store. */
export async function testObjectStore(): Promise<TestObjectStore> {
  const { endpoint, region, accessKey, secretKey } = sharedServers().objectStore
  const bucket = `test-${randomBytes(6).toString('hex')}`
  const url = new URL(endpoint)
  const client = new Client({
    endPoint: url.hostname,
    port: Number(url.port),
    useSSL: false,
    region,
    accessKey,
    secretKey,
    pathStyle: true,
  })
  await client.makeBucket(bucket, region)
  const keys = async (): Promise<string[]> => {
    const found: string[] = []
    for await (const item of client.listObjectsV2(bucket, '', true) as AsyncIterable<{ name: string }>) {
      found.push(item.name)
    }
    return found
  }
  return {
    s3Endpoint: endpoint,
    s3Region: region,
    s3Bucket: bucket,
    s3AccessKey: accessKey,
    s3SecretKey: secretKey,
    keys,
    [Symbol.asyncDispose]: async () => {
      for (const key of await keys()) await client.removeObject(bucket, key)
      await client.removeBucket(bucket)
    },
  }
}
