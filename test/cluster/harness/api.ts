import { request } from 'node:https'

const REQUEST_TIMEOUT_MS = 15_000

/** An object of the API, as far as the harness looks into it. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly uid?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly deletionTimestamp?: string
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[]
  }
}

/** The API server answered, and not as hoped. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The API server as one of its users sees it. */
export class Api {
  readonly #server: URL
  readonly #token: string
  readonly #authority: string

  constructor(server: string, authority: string, token: string) {
    this.#server = new URL(server)
    this.#token = token
    this.#authority = authority
  }

  async get<T = unknown>(path: string, signal?: AbortSignal): Promise<T> {
    return await this.#send<T>('GET', path, undefined, 'application/json', signal)
  }

  async list<T>(path: string): Promise<readonly T[]> {
    return (await this.get<{ items?: T[] }>(path)).items ?? []
  }

  /** Makes it. What is there already stays as it is. */
  async make(path: string, object: KubernetesObject & Readonly<Record<string, unknown>>): Promise<void> {
    await this.#send('POST', path, object).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.status !== 409) throw error
    })
  }

  /** Changes what the patch names. What is gone stays gone. */
  async patch(path: string, change: object): Promise<void> {
    await this.#send('PATCH', path, change, 'application/strategic-merge-patch+json').catch(ignoreMissing)
  }

  async delete(path: string, options: object = {}): Promise<void> {
    await this.#send('DELETE', path, { apiVersion: 'v1', kind: 'DeleteOptions', ...options }).catch(ignoreMissing)
  }

  #headers(type: string, body: string): Record<string, string | number> {
    // Without its length the body of a DELETE would be sent as if it were the next request.
    return {
      authorization: `Bearer ${this.#token}`,
      'content-type': type,
      'content-length': Buffer.byteLength(body),
    }
  }

  async #send<T>(
    method: string,
    path: string,
    body: object | undefined,
    type = 'application/json',
    signal: AbortSignal = AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  ): Promise<T> {
    const text = body === undefined ? '' : JSON.stringify(body)
    const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly answer: string }>()
    const sent = request(
      new URL(path, this.#server),
      { method, ca: this.#authority, agent: false, signal, headers: this.#headers(type, text) },
      (response) => {
        let answer = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk))
        response.once('error', reject)
        response.once('end', () => resolve({ status: response.statusCode ?? 0, answer }))
      },
    )
    sent.once('error', reject)
    sent.once('close', () => reject(new Error(`${method} ${path} was cut off`)))
    sent.end(text)
    const { status, answer } = await promise
    if (status >= 300) throw new ApiError(status, `${method} ${path} answered ${status}: ${answer.slice(0, 500)}`)
    return (answer.startsWith('{') ? JSON.parse(answer) : answer) as T
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof ApiError) || error.status !== 404) throw error
}
