import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import https from 'node:https'
import type { Readable } from 'node:stream'
import type { Client } from 'minio'
import { DependencyUnavailable } from './errors.ts'

const CONNECTIONS_MAX = 32
const CHECK_TIMEOUT_MS = 2_000
const NO_ANSWER = 'no answer in time'

/** How an S3-compatible object store is reached. */
export interface ObjectStoreOptions {
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  readonly accessKey: string
  readonly secretKey: string
  /** Longest time a call, or a pause within a body, may take. */
  readonly timeoutMs: number
}

/** An object's body as a stream, which the caller reads or destroys. */
export interface StoredObject {
  readonly stream: Readable
  readonly size: number
  readonly contentType: string
}

/** One bucket. Keys are unguessable and written once, so nothing here compares versions. */
export class ObjectStore {
  readonly #connect: () => Promise<Client>
  #connected: Promise<Client> | undefined
  readonly #bucket: string
  readonly #region: string
  readonly #timeoutMs: number

  constructor({ endpoint, region, bucket, accessKey, secretKey, timeoutMs }: ObjectStoreOptions) {
    const url = new URL(endpoint)
    const useSSL = url.protocol === 'https:'
    const { Agent, request } = useSSL ? https : http
    // The one form in which the client calls it.
    const bounded = (options: RequestOptions, onAnswer?: (answer: IncomingMessage) => void): ClientRequest =>
      endedIfIdle(request(options, onAnswer), timeoutMs)
    this.#connect = async () => {
      // Loaded on first use: it costs 140 ms of CPU, which services without an object store need not pay.
      const { Client } = await import('minio')
      return new Client({
        endPoint: url.hostname,
        port: url.port === '' ? (useSSL ? 443 : 80) : Number(url.port),
        useSSL,
        region,
        accessKey,
        secretKey,
        pathStyle: true,
        transportAgent: new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX, timeout: timeoutMs }),
        transport: { request: bounded as typeof request },
      })
    }
    this.#bucket = bucket
    this.#region = region
    this.#timeoutMs = timeoutMs
  }

  /** Stores the body under the key. @throws {DependencyUnavailable} */
  async put(key: string, body: Buffer | Uint8Array, { contentType }: { contentType: string }): Promise<void> {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    await this.#within((client) =>
      client.putObject(this.#bucket, key, bytes, bytes.length, { 'Content-Type': contentType }),
    )
  }

  /** The object, or `undefined` when there is none. @throws {DependencyUnavailable} */
  async get(key: string): Promise<StoredObject | undefined> {
    return await this.#unlessMissing(async (client) => {
      const stat = await client.statObject(this.#bucket, key)
      const stream = await client.getObject(this.#bucket, key)
      const contentType = String(stat.metaData['content-type'] ?? 'application/octet-stream')
      return { stream, size: stat.size, contentType }
    })
  }

  /** Deletes the object; one that is not there is no error. @throws {DependencyUnavailable} */
  async delete(key: string): Promise<void> {
    await this.#unlessMissing((client) => client.removeObject(this.#bucket, key))
  }

  /** Creates the bucket when it is missing. @throws {DependencyUnavailable} */
  async ensureBucket(): Promise<void> {
    await this.#within(async (client) => {
      if (await client.bucketExists(this.#bucket)) return
      try {
        await client.makeBucket(this.#bucket, this.#region)
      } catch (error) {
        // Another replica may have been quicker.
        if (!(await client.bucketExists(this.#bucket))) throw error
      }
    })
  }

  /** Resolves when the store answers; a bucket that is missing is made before the first picture. @throws {DependencyUnavailable} */
  async check(): Promise<void> {
    await this.#within((client) => client.bucketExists(this.#bucket), CHECK_TIMEOUT_MS)
  }

  async #unlessMissing<T>(call: (client: Client) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.#within(call)
    } catch (error) {
      const cause = error instanceof DependencyUnavailable ? error.cause : error
      if (isMissing(cause)) return undefined
      throw error
    }
  }

  async #within<T>(call: (client: Client) => Promise<T>, timeoutMs = this.#timeoutMs): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(NO_ANSWER)), timeoutMs)
    })
    try {
      this.#connected ??= this.#connect()
      return await Promise.race([this.#connected.then(call), late])
    } catch (error) {
      throw new DependencyUnavailable('The object store is not usable', { cause: error })
    } finally {
      clearTimeout(timer)
    }
  }
}

/**
 * Ends the request when no answer has begun in time, or nobody reads it: it would keep its connection for as long as the store is silent.
 * What has a status that it would try again, the client does not read.
 */
function endedIfIdle(request: ClientRequest, timeoutMs: number): ClientRequest {
  let answer: IncomingMessage | undefined
  const timer = setTimeout(() => {
    if (answer === undefined || answer.readableFlowing === null) request.destroy(new Error(NO_ANSWER))
  }, timeoutMs)
  return request.once('response', (response) => (answer = response)).once('close', () => clearTimeout(timer))
}

/** The client's S3Error has the store's own code. */
function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'NoSuchKey' || error.code === 'NotFound')
}
