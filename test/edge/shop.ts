import { startAuth } from '@saas/auth/src/main.ts'
import { systemClock } from '@saas/config'
import { signUnsubscribe } from '@saas/http'
import { startFrontend } from '@saas/frontend/src/main.ts'
import { startNotifications } from '@saas/notifications/src/main.ts'
import { startOrders } from '@saas/orders/src/main.ts'
import { startProducts } from '@saas/products/src/main.ts'
import { authRoutes, ordersRoutes, productsRoutes, statefulServices, type Role } from '@saas/contracts'
import {
  accessToken,
  currentSigningKey,
  eventually,
  internalTokenKey,
  sharedServers,
  startService,
  testBus,
  testLog,
  testMailbox,
  testObjectStore,
  type SigningKey,
  type TestService,
} from '@saas/testing'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { edgePort, startEdge, type Edge } from './edge.ts'

export const BOOTSTRAP_TOKEN = 'bootstrap-for-tests'
export const PASSWORD = 'quiet-otter-lends-a-ladder'
const ROOT = 'root@example.com'

/** Somebody new with one session, signed in. */
export interface Person {
  readonly role: Role
  readonly userId: string
  readonly sessionId: string
  readonly email: string
  readonly accessToken: string
}

/** Every service, real, behind the real edge. */
export class Shop implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack
  readonly #key: SigningKey
  readonly #publicUrl: string
  readonly #mailSecretKey: Uint8Array
  #onSale: Promise<string> | undefined
  readonly edge: Edge
  readonly auth: TestService
  readonly products: TestService
  readonly orders: TestService
  readonly notifications: TestService

  private constructor(parts: {
    resources: AsyncDisposableStack
    key: SigningKey
    publicUrl: string
    mailSecretKey: Uint8Array
    edge: Edge
    auth: TestService
    products: TestService
    orders: TestService
    notifications: TestService
  }) {
    this.#resources = parts.resources
    this.#key = parts.key
    this.#publicUrl = parts.publicUrl
    this.#mailSecretKey = parts.mailSecretKey
    this.edge = parts.edge
    this.auth = parts.auth
    this.products = parts.products
    this.orders = parts.orders
    this.notifications = parts.notifications
  }

  static async start(): Promise<Shop> {
    await using resources = new AsyncDisposableStack()
    const port = await edgePort()
    const publicUrl = `http://localhost:${port}`
    const [bus, objects, mailbox] = await Promise.all([testBus(), testObjectStore(), testMailbox()])
    for (const server of [mailbox, objects, bus]) resources.use(server)
    const keyEncryptionKey = randomBytes(32)
    const mailSecretKey = randomBytes(32)
    const parts = { bus, objects, clock: systemClock }
    const keys = statefulServices.map((service) => [service, [internalTokenKey(service)]] as const)
    const [auth, products, orders, notifications, frontend] = await Promise.all([
      startService('auth', startAuth, {
        ...parts,
        config: {
          publicUrl,
          internalTokenKeysByService: new Map(keys),
          keyEncryptionKey,
          mailSecretKey,
          bootstrapToken: BOOTSTRAP_TOKEN,
          edge: 'nginx',
          oidcProviders: [],
          trustedHops: 0,
        },
      }),
      startService('products', startProducts, { ...parts, config: { publicUrl } }),
      startService('orders', startOrders, { ...parts, config: { publicUrl } }),
      startService('notifications', startNotifications, {
        ...parts,
        config: {
          publicUrl,
          mailSecretKey,
          smtpUrls: [mailbox.smtpUrl],
          mailFrom: 'The shop <shop@example.com>',
          shopZone: 'UTC',
          quietHours: 'off',
        },
      }),
      startFrontend(
        {
          listenHost: '127.0.0.1',
          listenPort: 0,
          opsPort: 0,
          publicUrl,
          logLevel: 'info',
          connTimeoutSeconds: 5,
          otlpEndpoint: undefined,
          traceShare: 1,
        },
        { logger: testLog('frontend').logger, clock: systemClock },
        smallestBuild(),
      ),
    ])
    const services = { auth, products, orders, notifications, frontend }
    for (const service of Object.values(services)) resources.use(service)
    const at = (url: string): string[] => [new URL(url).host]
    const edge = resources.use(
      await startEdge(port, {
        publicUrl,
        upstreams: {
          auth: at(auth.url),
          products: at(products.url),
          orders: at(orders.url),
          notifications: at(notifications.url),
          frontend: at(frontend.url),
        },
      }),
    )
    const key = await currentSigningKey(auth.database, keyEncryptionKey)
    await auth.call(authRoutes.bootstrap, {
      body: { bootstrapToken: BOOTSTRAP_TOKEN, email: ROOT, password: PASSWORD, name: 'Ada' },
    })
    return new Shop({
      resources: resources.move(),
      key,
      publicUrl,
      mailSecretKey,
      edge,
      auth,
      products,
      orders,
      notifications,
    })
  }

  /** People nobody has met, as if each had registered and signed in; that alone needs no password. */
  async people<const Roles extends readonly Role[]>(roles: Roles): Promise<{ [K in keyof Roles]: Person }> {
    const people = roles.map((role) => {
      const [userId, sessionId] = [randomUUID(), randomUUID()]
      const claims = { sub: userId, sid: sessionId, roles: [role] }
      const token = accessToken(this.#key, this.#publicUrl, { claims })
      return { role, userId, sessionId, email: `${userId}@example.com`, accessToken: token }
    })
    await this.auth.database.query(
      `with person as (select * from json_to_recordset($1) as p ("userId" uuid, "sessionId" uuid, email text, role text)),
       known as (
         insert into account (id, email, email_key, name, language, roles, password_hash, verified_at, created_at, updated_at)
         select "userId", person.email, person.email, 'Cleo', 'en', array[role], password_hash, now(), now(), now()
         from person, account
         where account.email = $2
         returning id
       )
       insert into session (id, account_id, device, address, created_at, last_seen_at, expires_at, idle_expires_at, token_hash)
       select "sessionId", known.id, 'a phone', '192.0.2.1', now(), now(), now() + interval '1 day', now() + interval '1 day',
         uuid_send("sessionId")
       from person
       join known on known.id = "userId"`,
      [JSON.stringify(people), ROOT],
    )
    return people as unknown as { [K in keyof Roles]: Person }
  }

  /** One more session of theirs. */
  async session(userId: string): Promise<string> {
    const sessionId = randomUUID()
    await this.auth.database.query(
      `insert into session (id, account_id, device, address, created_at, last_seen_at, expires_at, idle_expires_at, token_hash)
       values ($1, $2, 'a phone', '192.0.2.1', now(), now(), now() + interval '1 day', now() + interval '1 day', $3)`,
      [sessionId, userId, randomBytes(32)],
    )
    return sessionId
  }

  /** A passkey of theirs that nobody has the private half of. */
  async passkey({ userId }: Person): Promise<string> {
    const id = randomUUID()
    await this.auth.database.query(
      `insert into passkey (id, account_id, credential_id, public_key, counter, transports, name, is_synced, created_at)
       values ($1, $2, $3, '', 0, '{}', 'A key', false, now())`,
      [id, userId, id],
    )
    return id
  }

  /** An account of theirs at a provider. */
  async linkedIdentity({ userId, email }: Person): Promise<string> {
    const id = randomUUID()
    await this.auth.database.query(
      `insert into linked_identity (id, account_id, issuer, subject, provider, email, created_at, last_used_at)
       values ($1::uuid, $2, 'https://provider.example', $1::uuid::text, 'provider', $3, now(), now())`,
      [id, userId, email],
    )
    return id
  }

  /** As it stands in a mail to them. */
  unsubscribeToken({ userId }: Person): string {
    return signUnsubscribe({ userId, kind: 'digest' }, this.#mailSecretKey)
  }

  /** A product of its own. */
  async product(): Promise<string> {
    const body = { sku: `SKU-${randomUUID()}`, name: 'Tea', price: { amount: 490, currency: 'EUR' }, stock: 1_000_000 }
    const answer = await this.products.call(productsRoutes.createProduct, { body, as: { roles: ['manager'] } })
    if (answer.status !== 201) throw new Error(`createProduct answered ${answer.status}`)
    return String(answer.body.id)
  }

  /** A product that orders knows of; always the same. */
  async productOnSale(): Promise<string> {
    this.#onSale ??= this.#sell()
    return await this.#onSale
  }

  async #sell(): Promise<string> {
    const id = await this.product()
    const text = 'select 1 from product_copy where product_id = $1'
    await eventually(async () => (await this.orders.database.query(text, [id])).length === 1)
    return id
  }

  /** A new order of theirs. */
  async order({ userId }: Person): Promise<string> {
    const answer = await this.orders.call(ordersRoutes.placeOrder, {
      body: { lines: [{ productId: await this.productOnSale(), quantity: 1 }] },
      headers: { 'idempotency-key': randomUUID(), prefer: 'wait=0' },
      as: { userId },
    })
    if (answer.status !== 201) throw new Error(`placeOrder answered ${answer.status}`)
    return String(answer.body.id)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync()
  }
}

/** What the front end needs to serve its pages: a document and a script. */
function smallestBuild(): string {
  const directory = mkdtempSync(join(sharedServers().directory, 'pages-'))
  mkdirSync(join(directory, 'assets'))
  writeFileSync(join(directory, 'index.html'), '<!doctype html><script type="module" src="/assets/index.js"></script>')
  writeFileSync(join(directory, 'assets/index.js'), 'export {}')
  for (const name of ['favicon.svg', 'robots.txt']) writeFileSync(join(directory, name), '')
  return directory
}
