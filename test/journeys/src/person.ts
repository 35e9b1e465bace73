import { enrolAdministrator, signInWithFactor, Authenticator, type SendCall } from '@saas/devstack'
import { eventually } from '@saas/testing'
import type { Shop } from './shop.ts'

/** An answer as somebody with curl would see it. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: Headers
  // oxlint-disable-next-line typescript/no-explicit-any -- a journey looks at the answer's fields as it pleases
  readonly body: any
}

export interface Credentials {
  readonly email: string
  readonly password: string
  readonly name: string
  /** Where the account has a second factor. */
  readonly authenticator?: Authenticator
}

const REQUEST_TIMEOUT_MS = 30_000

/** Somebody who uses the shop through the edge by plain HTTP. */
export class Person {
  readonly #shop: Shop
  #accessToken: string | undefined

  constructor(shop: Shop) {
    this.#shop = shop
  }

  async request(
    method: string,
    path: string,
    { body, headers = {} }: { body?: unknown; headers?: Readonly<Record<string, string>> } = {},
  ): Promise<HttpAnswer> {
    const isRaw = body instanceof Uint8Array
    const response = await fetch(this.#shop.url + path, {
      method,
      headers: {
        ...(this.#accessToken === undefined ? {} : { authorization: `Bearer ${this.#accessToken}` }),
        ...(body === undefined || isRaw ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? null : isRaw ? new Uint8Array(body) : JSON.stringify(body),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    })
    const isJson = response.headers.get('content-type')?.includes('json') === true
    const received = isJson ? await response.json() : Buffer.from(await response.arrayBuffer())
    return { status: response.status, headers: response.headers, body: received }
  }

  async get(path: string): Promise<HttpAnswer> {
    return await this.request('GET', path)
  }

  async post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    return await this.request('POST', path, { body, headers })
  }

  async signIn(credentials: Credentials): Promise<void> {
    this.#accessToken = (await signInWithFactor(sendTo(this.#shop), credentials)).accessToken
  }

  /** Sets an authenticator app up for whoever is signed in. */
  async addAuthenticator(): Promise<Authenticator> {
    if (this.#accessToken === undefined) throw new Error('Nobody is signed in')
    return await Authenticator.enrol(sendTo(this.#shop), this.#accessToken)
  }

  /** Signs in as an administrator who has no second factor yet, and sets one up. */
  async enrol(credentials: Credentials): Promise<Authenticator> {
    const { tokens, authenticator } = await enrolAdministrator(sendTo(this.#shop), credentials)
    this.#accessToken = tokens.accessToken
    return authenticator
  }
}

/** Calls through the edge, for whoever holds the access token. */
function sendTo(shop: Shop): SendCall {
  return async (route, { body, accessToken }) => {
    const headers = accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }
    return await new Person(shop).request(route.method, route.path, { body, headers })
  }
}

/** The token of the link in the newest mail to this address. */
export async function mailedToken(shop: Shop, email: string, page = '/verify'): Promise<string> {
  const mail = await shop.mailbox.waitForMail(email, ({ text }) => text.includes(`${page}#token=`))
  return /#token=([\w-]{43})/.exec(mail.text)?.[1] ?? ''
}

let count = 0

export function newCredentials(name: string): Credentials {
  count += 1
  return {
    email: `${name.toLowerCase().replaceAll(' ', '.')}.${count}@example.com`,
    password: `quiet river stones ${name} ${count}`,
    name,
  }
}

/** Somebody with a verified account, signed in. */
export async function newCustomer(shop: Shop, name: string): Promise<Person & { readonly credentials: Credentials }> {
  const person = new Person(shop)
  const credentials = newCredentials(name)
  await person.post('/auth/register', { ...credentials, language: 'en' })
  await person.post('/auth/verify', { token: await mailedToken(shop, credentials.email) })
  await person.signIn(credentials)
  return Object.assign(person, { credentials })
}

/** The first administrator, and a manager whom they appointed. */
export async function newStaff(shop: Shop): Promise<{ admin: Credentials; manager: Credentials }> {
  const admin = newCredentials('Ada Admin')
  const boss = new Person(shop)
  const { bootstrapToken } = shop
  // Auth is ready when it has its keys; the edge is up before that.
  await eventually(async () => {
    const made = await boss.post('/auth/bootstrap', { bootstrapToken, ...admin })
    if (made.status !== 201) throw new Error(`bootstrap answered ${made.status}`)
  })
  const authenticator = await boss.enrol(admin)
  const { credentials: manager } = await newCustomer(shop, 'Mo Manager')
  const found = await boss.get(`/auth/users?q=${encodeURIComponent(manager.email)}`)
  await boss.request('PUT', `/auth/users/${found.body.items[0].id}/roles`, { body: { roles: ['manager'] } })
  return { admin: { ...admin, authenticator }, manager }
}

/** Puts a product into the catalogue and waits until orders knows it. */
export async function newProduct(
  shop: Shop,
  manager: Credentials,
  product: { readonly sku: string; readonly name: string; readonly stock: number; readonly amount: number },
): Promise<string> {
  const { sku, name, stock, amount } = product
  const person = new Person(shop)
  await person.signIn(manager)
  const made = await person.post('/product', { sku, name, stock, price: { amount, currency: 'EUR' } })
  if (made.status !== 201) throw new Error(`product not created: ${JSON.stringify(made.body)}`)
  const { id } = made.body as { id: string }
  await untilOrderable(person, id)
  return id
}

/** A product reaches orders over the bus, a moment after it was made. */
export async function untilOrderable(person: Person, id: string): Promise<void> {
  await eventually(async () => {
    const put = await person.request('PUT', `/cart/${id}`, { body: { quantity: 1 } })
    if (put.status !== 200) throw new Error(`orders does not know the product yet: ${put.status}`)
  })
  await person.request('DELETE', `/cart/${id}`)
}

/** The six-digit code in the newest mail to this address that has one. */
export async function mailedCode(shop: Shop, email: string, subject: RegExp): Promise<string> {
  const mail = await shop.mailbox.waitForMail(
    email,
    (found) => subject.test(found.subject) && /\b\d{6}\b/.test(found.text),
  )
  return /\b\d{6}\b/.exec(mail.text)?.[0] ?? ''
}
