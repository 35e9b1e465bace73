import { integer, readConfig, text, url } from '@saas/config'
import type { Client } from 'minio'
import { encryptForAdmin } from './admin-cipher.ts'
import { Bucket, codeOf, connect } from './bucket.ts'
import { OperationFailed } from './operation-failed.ts'

const ADMIN = { bucketName: 'minio', region: 'us-east-1' }
const STEP_MS = 500

const variables = {
  endpoint: url('S3_ENDPOINT', ['http', 'https'], { description: 'The object store', example: 'http://store:9000' }),
  region: text('S3_REGION', { description: 'Its region', default: 'us-east-1' }),
  rootAccessKey: text('ROOT_ACCESS_KEY', { description: 'Its administrator', secret: true, example: 'administrator' }),
  rootSecretKey: text('ROOT_SECRET_KEY', { description: 'And the password', secret: true, example: 'password' }),
  users: text('BUCKET_USERS', { description: 'Names, separated by spaces', example: 'auth products' }),
  waitSeconds: integer('WAIT_SECONDS', 0, 3_600, {
    description: 'How long to wait for the store',
    default: '240',
  }),
}

interface BucketUser {
  readonly name: string
  readonly bucket: string
  readonly accessKey: string
  readonly secretKey: string
}

/**
 * Gives each user of the store (MinIO, or one with its administrative API) a bucket and a key that opens no other. It may run at any
 * time again: what a key may do is written anew, and a secret that changed is followed.
 *
 * @throws {OperationFailed} when the store cannot be reached or refuses the administrator, or a key does not open its bucket.
 */
export async function provideKeys(environment: NodeJS.ProcessEnv, report: (line: string) => void): Promise<void> {
  const config = readConfig(variables, environment)
  const { endpoint, region, rootAccessKey, rootSecretKey } = config
  const users = config.users.split(/\s+/).map((name) => userOf(name, environment))
  const root = connect({ endpoint, region, accessKey: rootAccessKey, secretKey: rootSecretKey })
  await reachable(root, config)
  for (const { name, bucket, accessKey, secretKey } of users) {
    if (!(await root.bucketExists(bucket))) await root.makeBucket(bucket, region)
    await ask(root, 'PUT', 'add-canned-policy', { name: bucket }, Buffer.from(JSON.stringify(policyOf(bucket))))
    const secret = encryptForAdmin(rootSecretKey, Buffer.from(JSON.stringify({ secretKey, status: 'enabled' })))
    await ask(root, 'PUT', 'add-user', { accessKey }, secret)
    await ask(root, 'PUT', 'set-user-or-group-policy', { userOrGroup: accessKey, isGroup: 'false', policyName: bucket })
    // What counts: the key opens it.
    await new Bucket({ endpoint, region, bucket, accessKey, secretKey }).keys('none')
    report(`${name}: ${bucket}`)
  }
}

function userOf(name: string, environment: NodeJS.ProcessEnv): BucketUser {
  const suffix = name.toUpperCase().replaceAll('-', '_')
  const own = {
    bucket: text(`BUCKET_${suffix}`, { description: `The bucket of ${name}`, example: `saas-${name}` }),
    accessKey: text(`ACCESS_KEY_${suffix}`, { description: `The key of ${name}`, secret: true, example: name }),
    secretKey: text(`SECRET_KEY_${suffix}`, { description: `And its secret`, secret: true, example: 'secret' }),
  }
  return { name, ...readConfig(own, environment) }
}

/** Reading and writing objects of one bucket, and nothing of the bucket itself. */
function policyOf(bucket: string): object {
  const allow = (resource: string, ...actions: string[]) => ({
    Effect: 'Allow',
    Resource: [`arn:aws:s3:::${resource}`],
    Action: actions.map((action) => `s3:${action}`),
  })
  return {
    Version: '2012-10-17',
    Statement: [
      allow(bucket, 'ListBucket', 'GetBucketLocation', 'ListBucketMultipartUploads'),
      allow(
        `${bucket}/*`,
        'GetObject',
        'PutObject',
        'DeleteObject',
        'AbortMultipartUpload',
        'ListMultipartUploadParts',
      ),
    ],
  }
}

async function reachable(root: Client, config: { endpoint: string; waitSeconds: number }): Promise<void> {
  const deadline = performance.now() + config.waitSeconds * 1_000
  for (;;) {
    try {
      await root.listBuckets()
      return
    } catch (error) {
      const code = codeOf(error)
      if (['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'AccessDenied'].includes(code))
        throw new OperationFailed(`The object store ${config.endpoint} refuses its administrator (${code}).`)
      if (performance.now() > deadline)
        throw new OperationFailed(`The object store ${config.endpoint} does not answer: ${String(error)}`)
      await new Promise((resolve) => setTimeout(resolve, STEP_MS))
    }
  }
}

async function ask(
  root: Client,
  method: 'PUT',
  call: string,
  query: Readonly<Record<string, string>>,
  body: Buffer = Buffer.alloc(0),
): Promise<void> {
  const { bucketName, region } = ADMIN
  const options = {
    method,
    bucketName,
    objectName: `admin/v3/${call}`,
    query: new URLSearchParams(query).toString(),
  }
  await root.makeRequestAsyncOmit(options, body, [200], region).catch((error: unknown) => {
    const said = error instanceof Error ? error.message : String(error)
    throw new OperationFailed(`The object store refuses ${call}: ${codeOf(error)} ${said}`, { cause: error })
  })
}
