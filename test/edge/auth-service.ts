import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { statefulServices } from '@saas/contracts'
import { Child, cloneDirectory, freePort } from '@saas/devstack'
import {
  cloneDatabase,
  internalTokenKey,
  sharedServers,
  testBus,
  testObjectStore,
  type TestDatabase,
} from '@saas/testing'

const PASSWORD = 'quiet-otter-lends-a-ladder'
const BOOTSTRAP_TOKEN = 'bootstrap-for-tests'
const ADMIN = 'admin@example.com'
const CUSTOMER = 'customer@example.com'

/** The real auth service as a process of its own, so that it can be killed and frozen. */
export interface AuthService extends AsyncDisposable {
  readonly child: Child
  readonly address: string
  readonly database: TestDatabase
  /** Access tokens of somebody who is nothing but a customer, and of an administrator. */
  readonly tokens: { readonly customer: string; readonly admin: string }
}

export async function startAuthService(publicUrl: string): Promise<AuthService> {
  await using stack = new AsyncDisposableStack()
  const database = stack.use(await cloneDatabase('auth'))
  const bus = stack.use(await testBus())
  const objects = stack.use(await testObjectStore())
  const [port, opsPort] = [await freePort(), await freePort()]
  const key = () => randomBytes(32).toString('base64url')
  const url = `http://127.0.0.1:${port}`
  const child = stack.use(
    await Child.start({
      name: 'auth',
      command: process.execPath,
      arguments: [join(cloneDirectory, 'services/auth/src/main.ts')],
      logFile: join(sharedServers().directory, `auth-${port}.log`),
      environment: {
        LISTEN_PORT: String(port),
        OPS_PORT: String(opsPort),
        PUBLIC_URL: publicUrl,
        DATABASE_URL: database.url,
        NATS_BROKER_URL: bus.urlFor('auth'),
        S3_ENDPOINT: objects.s3Endpoint,
        S3_REGION: objects.s3Region,
        S3_BUCKET: objects.s3Bucket,
        S3_ACCESS_KEY: objects.s3AccessKey,
        S3_SECRET_KEY: objects.s3SecretKey,
        INTERNAL_TOKEN_KEYS: statefulServices
          .map((service) => `${service}=${Buffer.from(internalTokenKey(service)).toString('base64url')}`)
          .join(','),
        KEY_ENCRYPTION_KEY: key(),
        MAIL_SECRET_KEY: key(),
        BOOTSTRAP_TOKEN,
      },
      isReady: async (signal) => (await fetch(`http://127.0.0.1:${opsPort}/readyz`, { signal })).ok,
    }),
  )
  const tokens = await signIn(url, database)
  const owned = stack.move()
  return {
    child,
    address: `127.0.0.1:${port}`,
    database,
    tokens,
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

async function signIn(url: string, database: TestDatabase): Promise<AuthService['tokens']> {
  await post(url, '/auth/bootstrap', { bootstrapToken: BOOTSTRAP_TOKEN, email: ADMIN, password: PASSWORD, name: 'Ada' })
  // Registering needs a mail; here it matters only that there is somebody who may do less.
  await database.query(
    `insert into account (id, email, email_key, name, language, roles, password_hash, verified_at, created_at, updated_at)
     select uuidv7(), $1, $1, 'Cleo', language, '{customer}', password_hash, verified_at, created_at, updated_at
     from account where email = $2`,
    [CUSTOMER, ADMIN],
  )
  const tokenOf = async (email: string) => (await post(url, '/auth/login', { email, password: PASSWORD })).accessToken
  return { customer: await tokenOf(CUSTOMER), admin: await tokenOf(ADMIN) }
}

async function post(url: string, path: string, body: object): Promise<{ accessToken: string }> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as { accessToken: string }
}
