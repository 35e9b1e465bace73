import { Client } from 'minio'
import { OperationFailed } from './operation-failed.ts'

/** How an S3-compatible object store is reached, and as whom. */
export interface BucketOptions {
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  readonly accessKey: string
  readonly secretKey: string
}

/** What stores answer when it is the key that is wrong. */
const REFUSALS = new Set(['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'AccessDenied', 'Forbidden'])
const MISSING = new Set(['NoSuchKey', 'NotFound'])

/** One bucket with whole objects that fit into memory. Every failure becomes a sentence that names the store. */
export class Bucket {
  readonly #client: Client
  readonly #options: BucketOptions

  constructor(options: BucketOptions) {
    this.#options = options
    this.#client = connect(options)
  }

  async put(key: string, body: Buffer): Promise<void> {
    await this.#try(() => this.#client.putObject(this.#options.bucket, key, body, body.length))
  }

  /** The object's bytes, or `undefined` when there is none. @throws {OperationFailed} */
  async get(key: string): Promise<Buffer | undefined> {
    try {
      return await this.#try(async () => {
        const stream = await this.#client.getObject(this.#options.bucket, key)
        const parts: Buffer[] = []
        for await (const part of stream as AsyncIterable<Buffer>) parts.push(part)
        return Buffer.concat(parts)
      })
    } catch (error) {
      if (error instanceof OperationFailed && MISSING.has(codeOf(error.cause))) return undefined
      throw error
    }
  }

  /** Keys with the prefix, in order. @throws {OperationFailed} */
  async keys(prefix: string): Promise<string[]> {
    return await this.#try(async () => {
      const found: string[] = []
      const items = this.#client.listObjectsV2(this.#options.bucket, prefix, true)
      for await (const { name } of items as AsyncIterable<{ name?: string }>) if (name !== undefined) found.push(name)
      return found.toSorted()
    })
  }

  async remove(key: string): Promise<void> {
    await this.#try(() => this.#client.removeObject(this.#options.bucket, key))
  }

  async #try<T>(call: () => Promise<T>): Promise<T> {
    const { endpoint, bucket } = this.#options
    try {
      return await call()
    } catch (error) {
      const code = codeOf(error)
      if (REFUSALS.has(code))
        throw new OperationFailed(`The object store ${endpoint} refuses the key for the bucket ${bucket} (${code}).`, {
          cause: error,
        })
      const said = error instanceof Error ? error.message : String(error)
      throw new OperationFailed(`The object store ${endpoint} (bucket ${bucket}): ${code} ${said}`.trim(), {
        cause: error,
      })
    }
  }
}

/** A client that asks for nothing but what it is told to. */
export function connect({ endpoint, region, accessKey, secretKey }: Omit<BucketOptions, 'bucket'>): Client {
  const { hostname, port, protocol } = new URL(endpoint)
  const useSSL = protocol === 'https:'
  return new Client({
    endPoint: hostname,
    port: port === '' ? (useSSL ? 443 : 80) : Number(port),
    useSSL,
    region,
    accessKey,
    secretKey,
    pathStyle: true,
  })
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
