import type { Order, Product, Profile } from '@saas/contracts'
import { enrolAdministrator, type SendCall } from '@saas/devstack'
import { eventually } from '@saas/testing'
import type { Ledger } from '../checkers/index.ts'
import type { Stack } from './stack.ts'
import { BOOTSTRAP_TOKEN } from './service-child.ts'

const REQUEST_TIMEOUT_MS = 15_000
const ANSWERED_WITHIN_MS = 30_000
const PASSWORD = 'quiet river stones at noon'

/** An answer as somebody with curl would see it; `status` is 0 when there was none. */
export interface Answer<T = unknown> {
  readonly status: number
  readonly body: T
}

/** Somebody who uses the shop through the edge, and tries again when they are told to come again or hear nothing. */
export class Customer {
  readonly #url: string
  readonly email: string
  readonly #ledger: Ledger
  #accessToken = ''
  #refreshToken = ''
  #userId = ''
  /** Every status but 503 that was neither a success nor expected. */
  readonly refusals: string[] = []

  constructor(stack: Stack, email: string, ledger: Ledger) {
    this.#url = stack.edge.url
    this.email = email
    this.#ledger = ledger
    ledger.secrets.add(PASSWORD)
  }

  get userId(): string {
    return this.#userId
  }

  /** Registers, proves the address with the mailed code and signs in. */
  static async register(stack: Stack, email: string, ledger: Ledger): Promise<Customer> {
    const customer = new Customer(stack, email, ledger)
    await customer.expect(202, 'POST', '/auth/register', { email, password: PASSWORD, name: 'Ada', language: 'en' })
    const code = await eventually(() => /\b\d{6}\b/.exec(stack.mail.mailsTo(email)[0]?.text ?? '')?.[0] ?? false)
    await customer.expect(200, 'POST', '/auth/verify', { email, code })
    await customer.signIn()
    return customer
  }

  /** The first administrator, who may also manage products. */
  static async administrator(stack: Stack, ledger: Ledger): Promise<Customer> {
    const admin = new Customer(stack, 'root@example.com', ledger)
    const account = { email: admin.email, password: PASSWORD, name: 'Grace' }
    await admin.expect(201, 'POST', '/auth/bootstrap', { bootstrapToken: BOOTSTRAP_TOKEN, ...account })
    const call: SendCall = async (route, { body, accessToken = '' }) => {
      admin.#accessToken = accessToken
      return await admin.send(route.method, route.path, body)
    }
    admin.#keep((await enrolAdministrator(call, { email: admin.email, password: PASSWORD })).tokens)
    return admin
  }

  async signIn(): Promise<void> {
    const body = { email: this.email, password: PASSWORD }
    this.#keep(await this.expect<Tokens>(200, 'POST', '/auth/login', body))
  }

  async refresh(): Promise<void> {
    this.#keep(await this.expect<Tokens>(200, 'POST', '/auth/refresh', { refreshToken: this.#refreshToken }))
  }

  #keep({ accessToken, refreshToken, user }: Tokens): void {
    this.#accessToken = accessToken
    this.#refreshToken = refreshToken
    this.#userId = user?.id ?? this.#userId
    this.#ledger.secrets.add(accessToken).add(refreshToken)
  }

  async sell(stock: number, amount: number): Promise<string> {
    const body = { sku: `SKU-${crypto.randomUUID()}`, name: 'Tea', price: { amount, currency: 'EUR' }, stock }
    const { id } = await this.expect<Product>(201, 'POST', '/product', body)
    this.#ledger.products.push({ id, stock })
    return id
  }

  /** Orders under a key until it is acknowledged. */
  async place(key: string, productId: string, quantity: number, waitSeconds: number): Promise<Order> {
    const body = { lines: [{ productId, quantity }] }
    const headers = { 'idempotency-key': key, prefer: `wait=${waitSeconds}` }
    const order = await this.expect<Order>(201, 'POST', '/order', body, headers)
    this.#ledger.placed.push({ userId: this.#userId, key, status: 201, order })
    return order
  }

  /** The order, after a sign-in that grew old is renewed; whoever cannot renew it was logged out. */
  async renewing<T>(
    method: string,
    path: string,
    body?: object,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer<T>> {
    const answer = await this.send<T>(method, path, body, headers)
    if (answer.status !== 401) return answer
    await this.refresh()
    return await this.send<T>(method, path, body, headers)
  }

  /** Cancels until it is known what became of it; a rejected order stays rejected. */
  async cancel(orderId: string): Promise<void> {
    const { status } = await this.expect<Partial<Order>>([200, 409], 'POST', `/order/${orderId}/cancel`)
    if (status === 'cancelled') this.#ledger.cancelled.push(orderId)
  }

  async profile(): Promise<Profile> {
    return await this.expect<Profile>(200, 'GET', '/profile')
  }

  /** One attempt to set the picture. */
  async upload(picture: Uint8Array): Promise<Answer<Profile>> {
    return await this.send<Profile>('PUT', '/profile/avatar', picture, { 'content-type': 'image/png' })
  }

  /** Whether all sizes of a picture can be read. */
  async canSee(avatar: NonNullable<Profile['avatar']>): Promise<boolean> {
    const answers = await Promise.all(Object.values(avatar).map((path) => this.send('GET', path)))
    return answers.every(({ status }) => status === 200)
  }

  /** Sends again until the status is one of these. */
  async expect<T>(
    wanted: number | readonly number[],
    method: string,
    path: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const isPicture = body instanceof Uint8Array
    return await eventually(
      async () => {
        const answer = await this.send<T>(method, path, body, isPicture ? { 'content-type': 'image/png' } : headers)
        if ([wanted].flat().includes(answer.status)) return answer.body as Exclude<T, false>
        if (![0, 503].includes(answer.status)) this.refusals.push(`${method} ${path}: ${answer.status}`)
        throw new Error(`${method} ${path} was answered with ${answer.status} ${JSON.stringify(answer.body)}`)
      },
      { timeoutMs: ANSWERED_WITHIN_MS },
    )
  }

  async send<T>(
    method: string,
    path: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<T>> {
    const isRaw = body instanceof Uint8Array
    try {
      const response = await fetch(this.#url + path, {
        method,
        headers: {
          ...(this.#accessToken === '' ? {} : { authorization: `Bearer ${this.#accessToken}` }),
          ...(body === undefined || isRaw ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : isRaw ? new Uint8Array(body) : JSON.stringify(body),
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      })
      const isJson = response.headers.get('content-type')?.includes('json') === true
      const received = isJson ? await response.json() : await response.arrayBuffer()
      return { status: response.status, body: received as T }
    } catch {
      return { status: 0, body: undefined as T }
    }
  }
}

interface Tokens {
  readonly user?: Profile
  readonly accessToken: string
  readonly refreshToken: string
}
