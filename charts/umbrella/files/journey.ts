import { createHash, createHmac, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

// `helm test`: goes through the shop as a customer does. With a mailbox in the release it registers, reads the mail, proves the
// address, logs in, buys and sees the mail about the order; afterwards order, account and product are gone again. Without one it
// does what needs no mail. It runs in the image of the products service, on Node alone.

const { EDGE_URL = '', MAILBOX_URL = '', PRODUCTS_URL = '', INTERNAL_TOKEN_KEY = '' } = process.env
const CALL_TIMEOUT_MS = 20_000
const WAIT_MS = 60_000
const INTERVAL_MS = 200

interface Request {
  readonly method?: string
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
  /** Any other status is a failure. */
  readonly expected?: number
}

/** Somebody who shops at the edge. */
export class Customer {
  readonly email: string
  readonly password: string
  #accessToken: string | undefined

  constructor(email: string, password: string) {
    this.email = email
    this.password = password
  }

  async call<T = unknown>(method: string, path: string, { headers, ...request }: Request = {}): Promise<T> {
    const authorization = this.#accessToken === undefined ? {} : { authorization: `Bearer ${this.#accessToken}` }
    return await call<T>(EDGE_URL + path, { ...request, method, headers: { ...authorization, ...headers } })
  }

  /** Registers and proves the address with the mailed code. */
  async register(): Promise<void> {
    const { email, password } = this
    const body = { email, password, name: 'Helm Test', language: 'en' }
    await this.call('POST', '/auth/register', { body, expected: 202 })
    const code = await this.awaitMail(/\b\d{6}\b/)
    await this.call('POST', '/auth/verify', { body: { email, code } })
  }

  async logIn(): Promise<void> {
    const { email, password } = this
    const tokens = await this.call<{ accessToken: string }>('POST', '/auth/login', { body: { email, password } })
    this.#accessToken = tokens.accessToken
  }

  /** Buys one piece and waits until the order is confirmed; answers its id. */
  async buy(productId: string): Promise<string> {
    // What was put on sale a moment ago reaches the orders by a message.
    const { id } = await until('the product can be ordered', async () => {
      const headers = { 'idempotency-key': randomUUID(), prefer: 'wait=10' }
      const body = { lines: [{ productId, quantity: 1 }] }
      return await this.call<{ id: string }>('POST', '/order', { body, headers, expected: 201 })
    })
    return await until('the order is confirmed', async () => {
      const { status } = await this.call<{ status: string }>('GET', `/order/${id}`)
      if (status !== 'confirmed') throw new Error(`it is ${status}`)
      return id
    })
  }

  /** What a mail to this customer says at the pattern. */
  async awaitMail(pattern: RegExp): Promise<string> {
    return await until(`a mail to ${this.email} says ${pattern.source}`, async () => {
      const query = encodeURIComponent(`to:${this.email}`)
      const found = await call<{ messages: { ID: string }[] }>(`${MAILBOX_URL}/api/v1/search?query=${query}`)
      for (const { ID } of found.messages) {
        const { Text } = await call<{ Text: string }>(`${MAILBOX_URL}/api/v1/message/${ID}`)
        const said = pattern.exec(Text)?.[0]
        if (said !== undefined) return said
      }
      throw new Error(`${found.messages.length} mails say something else`)
    })
  }
}

/**
 * Puts something on sale at the products service itself, with the service's own key, as a manager who exists in this one request:
 * a new shop has neither products nor a manager. Answers the product's id.
 */
export async function sell(sku: string, name: string, stock: number): Promise<string> {
  const body = { sku, name, stock, price: { amount: 100, currency: 'EUR' } }
  const headers = asManager('products.createProduct')
  return (await call<{ id: string }>(`${PRODUCTS_URL}/product`, { method: 'POST', headers, body, expected: 201 })).id
}

/** Takes a product out of the catalogue. */
async function withdraw(id: string): Promise<void> {
  const url = `${PRODUCTS_URL}/product/${id}`
  // The stock of a cancelled order comes back by a message, and the product is another one then.
  await until('the product is taken out', async () => {
    const found = await fetch(url, {
      headers: asManager('products.getProduct'),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    })
    await found.body?.cancel()
    const headers = { ...asManager('products.deleteProduct'), 'if-match': found.headers.get('etag') ?? '' }
    await call(url, { method: 'DELETE', headers, expected: 204 })
  })
}

/** The token auth would give the edge for this one route; packages/http/src/internal-token.ts says how it is made. */
function asManager(routeId: string): Record<string, string> {
  const key = Buffer.from(INTERNAL_TOKEN_KEY.split(',')[0] ?? '', 'base64url')
  const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const kid = createHash('sha256').update(key).digest().subarray(0, 8).toString('base64url')
  const issuedAt = Math.floor(Date.now() / 1000)
  const manager = { sub: randomUUID(), roles: ['manager'], sid: randomUUID(), rid: routeId }
  const claims = { iss: 'auth', aud: 'products', ...manager, iat: issuedAt, exp: issuedAt + 60 }
  const signed = `${encoded({ alg: 'HS256', typ: 'internal+jwt', kid })}.${encoded(claims)}`
  return { 'x-internal-token': `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}` }
}

async function call<T>(url: string, { method = 'GET', body, headers, expected = 200 }: Request = {}): Promise<T> {
  const response = await fetch(url, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
  })
  const text = await response.text()
  if (response.status !== expected) {
    throw new Error(`${method} ${url} answered ${response.status} and not ${expected}: ${text.slice(0, 300)}`)
  }
  return (text.startsWith('{') ? JSON.parse(text) : text) as T
}

async function until<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + WAIT_MS
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`in vain waited until ${what}: ${messageOf(error)}`, { cause: error })
      await delay(INTERVAL_MS)
    }
  }
}

async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  try {
    const result = await work()
    process.stdout.write(`✓ ${what} (${Math.round(performance.now() - startedAt)} ms)\n`)
    return result
  } catch (error) {
    process.stdout.write(`✗ ${what}: ${messageOf(error)}\n`)
    throw error
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message
}

async function goThrough(): Promise<void> {
  const run = randomUUID().slice(0, 8)
  const customer = new Customer(`helm-test-${run}@example.com`, `a test of ${randomUUID()}`)
  const { email, password } = customer
  await step('the front page is served', () => customer.call('GET', '/'))
  await step('the catalogue can be read', () => customer.call('GET', '/product'))
  await step('nobody has a profile without signing in', () => customer.call('GET', '/profile', { expected: 401 }))
  await step('a wrong password signs nobody in', () =>
    customer.call('POST', '/auth/login', { body: { email, password }, expected: 401 }),
  )
  if (MAILBOX_URL === '') {
    process.stdout.write('Mails leave the cluster, so nobody registers here and the rest is left out.\n')
    return
  }
  await step('a customer registers and proves the address with the mailed code', () => customer.register())
  await step('logs in', () => customer.logIn())
  const name = `Helm test ${run}`
  const productId = await step('a product is put on sale', () => sell(`HELM-TEST-${run}`, name, 1))
  try {
    const orderId = await step('the customer buys it', () => customer.buy(productId))
    await step('a mail names the order', () => customer.awaitMail(new RegExp(name)))
    await step('the order is cancelled', () => customer.call('POST', `/order/${orderId}/cancel`))
  } finally {
    await step('the product is taken out', () => withdraw(productId))
    const body = { currentPassword: password }
    await step('the account is deleted', () => customer.call('DELETE', '/profile', { body, expected: 204 }))
  }
}

if (import.meta.main) {
  await goThrough().catch(() => {
    process.exitCode = 1
  })
}
