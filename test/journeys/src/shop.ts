import { startAuth } from '@saas/auth/src/main.ts'
import { systemClock, type OidcProvider } from '@saas/config'
import { byService, type ServiceName } from '@saas/contracts'
import { cloneDirectory, freePort } from '@saas/devstack'
import { compressBuild } from '@saas/frontend/src/built-files.ts'
import { startFrontend } from '@saas/frontend/src/main.ts'
import { startNotifications } from '@saas/notifications/src/main.ts'
import { startOrders } from '@saas/orders/src/main.ts'
import { startProducts } from '@saas/products/src/main.ts'
import {
  internalTokenKey,
  sharedServers,
  startService,
  testBus,
  testLog,
  testMailbox,
  testObjectStore,
  type MailReader,
} from '@saas/testing'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startEdge } from '../../edge/edge.ts'
import { AGE_PROOFS } from './age-proofs.ts'
import { startContainerShop } from './container-shop.ts'
import { TROUBLE } from './trouble.ts'

const BUILD_TIMEOUT_MS = 60_000

/** The whole product: every service from source on real servers, the built pages, and nginx in front of it. */
export interface Shop extends AsyncDisposable {
  /** Where people reach it. */
  readonly url: string
  readonly mailbox: MailReader
  readonly bootstrapToken: string
  /** What links of mails are signed with. */
  readonly mailSecretKey: Uint8Array
  /** Each service's own address, past the edge. */
  readonly directUrls: Readonly<Record<ServiceName, string>>
  /** What a service has logged so far. */
  logOf(service: ServiceName): Promise<string>
  /** Lets eleven minutes pass since anybody has shown a second factor or signed in, but for nothing else. */
  ageProofs(): Promise<void>
  /** Leaves a dead mail and two dead letters in notifications, of which one can be applied by now. */
  makeTrouble(): Promise<void>
  /** Freezes the bus until what is answered was called: nothing is decided in the meantime. */
  freezeBus(): () => void
}

/** Makes what the shop is configured with, once it is known where people reach it. */
export type ProvidersAt = (publicUrl: string) => Promise<readonly OidcProvider[]>

/** From source, or with SHOP=containers from the images. */
export async function startShop(providersAt: ProvidersAt = async () => []): Promise<Shop> {
  if (process.env['SHOP'] === 'containers') return await startContainerShop()
  await using resources = new AsyncDisposableStack()
  const port = await freePort()
  const publicUrl = `http://localhost:${port}`
  building ??= buildPages()
  const [bus, objects, mailbox] = await Promise.all([testBus(), testObjectStore(), testMailbox()])
  for (const server of [mailbox, objects, bus]) resources.use(server)

  const bootstrapToken = randomBytes(24).toString('base64url')
  const secret = randomBytes(32)
  const keys = (['auth', 'products', 'orders', 'notifications'] as const).map(
    (name) => [name, [internalTokenKey(name)]] as const,
  )
  const parts = { bus, objects, clock: systemClock }
  const auth = resources.use(
    await startService('auth', startAuth, {
      ...parts,
      config: {
        publicUrl,
        internalTokenKeysByService: new Map(keys),
        keyEncryptionKey: randomBytes(32),
        mailSecretKey: secret,
        bootstrapToken,
        edge: 'nginx',
        trustedHops: 0,
        oidcProviders: await providersAt(publicUrl),
      },
    }),
  )
  const products = resources.use(await startService('products', startProducts, { ...parts, config: { publicUrl } }))
  const orders = resources.use(await startService('orders', startOrders, { ...parts, config: { publicUrl } }))
  const notifications = resources.use(
    await startService('notifications', startNotifications, {
      ...parts,
      config: {
        publicUrl,
        mailSecretKey: secret,
        smtpUrls: [mailbox.smtpUrl],
        mailFrom: 'The shop <shop@example.com>',
        shopZone: 'UTC',
        quietHours: 'off',
        cartReminderHours: 24,
      },
    }),
  )
  const log = testLog('frontend')
  const ports = { listenHost: '127.0.0.1', listenPort: 0, opsPort: 0 }
  const frontend = resources.use(
    await startFrontend(
      { ...ports, publicUrl, logLevel: 'info', connTimeoutSeconds: 5, otlpEndpoint: undefined, traceShare: 1 },
      { logger: log.logger, clock: systemClock },
      await building,
    ),
  )
  const services = { auth, products, orders, notifications, frontend } as const
  const at = (name: ServiceName): string[] => [new URL(services[name].url).host]
  resources.use(
    await startEdge(port, {
      publicUrl,
      upstreams: byService(at),
    }),
  )
  const owned = resources.move()
  return {
    url: publicUrl,
    mailbox,
    bootstrapToken,
    mailSecretKey: secret,
    directUrls: {
      auth: auth.url,
      products: products.url,
      orders: orders.url,
      notifications: notifications.url,
      frontend: frontend.url,
    },
    logOf: async (service) => (service === 'frontend' ? log : services[service].log).text(),
    ageProofs: async () => {
      await auth.database.query(AGE_PROOFS)
    },
    makeTrouble: async () => {
      await notifications.database.query(TROUBLE)
    },
    freezeBus: () => {
      const { pid } = bus.child
      if (pid === undefined) throw new Error('The bus is not running.')
      process.kill(pid, 'SIGSTOP')
      return () => process.kill(pid, 'SIGCONT')
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** Once a process: every shop serves the same pages. */
let building: Promise<string> | undefined

/** Builds the pages with Vite into a folder of this run, and compresses them once for all shops, as an image has them. */
async function buildPages(): Promise<string> {
  const directory = await mkdtemp(join(sharedServers().directory, 'pages-'))
  const cwd = join(cloneDirectory, 'services/frontend')
  const build = ['node_modules/vite/bin/vite.js', 'build', '--outDir', directory, '--logLevel', 'warn']
  await promisify(execFile)(process.execPath, build, { cwd, timeout: BUILD_TIMEOUT_MS })
  await compressBuild(directory)
  return directory
}
