import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Child } from '../child.ts'
import { findProgram } from '../fetch/run.ts'
import { freePort } from '../ports.ts'
import type { ProgressStep } from '../progress.ts'

export interface ObjectStoreOptions {
  readonly directory: string
  readonly accessKey: string
  readonly secretKey: string
  readonly bucket: string
  readonly port?: number
  readonly logFile?: string
  readonly step?: ProgressStep
  /** `minio` runs the program of that name instead, which has to be on PATH. */
  readonly program?: 's3rver' | 'minio'
}

/** A running S3-compatible object store. */
export interface ObjectStoreServer extends AsyncDisposable {
  readonly child: Child
  readonly port: number
  readonly endpoint: string
  readonly region: string
  readonly accessKey: string
  readonly secretKey: string
  readonly bucket: string
}

const REGION = 'us-east-1'

/** Starts the object store. Its S3rver has the bucket from the start; MinIO's is made by the first service. */
export async function startObjectStore(options: ObjectStoreOptions): Promise<ObjectStoreServer> {
  const { directory, accessKey, secretKey, bucket, step } = options
  const port = options.port ?? (await freePort())
  const endpoint = `http://127.0.0.1:${port}`
  const dataDirectory = join(directory, 'objects')
  mkdirSync(directory, { recursive: true })
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 })
  step?.update('starting')
  const common = {
    name: 'object store',
    logFile: options.logFile ?? join(directory, 'object-store.log'),
  }
  const child =
    options.program === 'minio'
      ? await Child.start({
          ...common,
          command: minioProgram(),
          arguments: ['server', '--quiet', '--address', `127.0.0.1:${port}`, dataDirectory],
          environment: { MINIO_ROOT_USER: accessKey, MINIO_ROOT_PASSWORD: secretKey, MINIO_BROWSER: 'off' },
          isReady: async (signal) => (await fetch(`${endpoint}/minio/health/ready`, { signal })).ok,
        })
      : await Child.start({
          ...common,
          command: process.execPath,
          arguments: [join(import.meta.dirname, 'object-store-main.ts')],
          environment: {
            OBJECT_STORE_PORT: String(port),
            OBJECT_STORE_DIRECTORY: dataDirectory,
            OBJECT_STORE_BUCKET: bucket,
            OBJECT_STORE_ACCESS_KEY: accessKey,
            OBJECT_STORE_SECRET_KEY: secretKey,
          },
          // The guard refuses an unsigned request: it stands, and so does what is behind it.
          isReady: async (signal) => (await fetch(endpoint, { signal })).status === 403,
        })
  return {
    child,
    port,
    endpoint,
    region: REGION,
    accessKey,
    secretKey,
    bucket,
    [Symbol.asyncDispose]: () => child.stop(),
  }
}

function minioProgram(): string {
  const program = findProgram('minio')
  if (program === undefined) throw new Error('minio was asked for and is not on PATH.')
  return program
}
