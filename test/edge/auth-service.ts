import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { statefulServices } from '@saas/contracts'
import { Child, cloneDirectory, enrolAdministrator, freePort, type SendCall } from '@saas/devstack'
import {
  cloneDatabase,
  internalTokenKey,
  sharedServers,
  signedIn,
  testBus,
  testObjectStore,
  type TestDatabase,
} from '@saas/testing'
import { decodeJwt } from 'jose'

const PASSWORD = 'quiet-otter-lends-a-ladder'
const BOOTSTRAP_TOKEN = 'bootstrap-for-tests'
const ADMIN = 'admin@example.com'
const others = { customer: 'customer', stranger: 'customer', manager: 'manager' } as const
type Person = 'admin' | keyof typeof others

/** The real auth service as a process of its own, so that it can be killed and frozen. */
export interface AuthService extends AsyncDisposable {
  readonly child: Child
  readonly address: string
  readonly database: TestDatabase
  /** Opens its private signing keys. */
  readonly keyEncryptionKey: Uint8Array
  /** Who it takes itself for; what access tokens are issued by and for. */
  readonly publicUrl: string
  /** Access tokens of two people who are nothing but customers, of a manager, and of an administrator. */
  readonly tokens: Readonly<Record<Person, string>>
}

export async function startAuthService(publicUrl: string, edge = 'nginx'): Promise<AuthService> {
  await using stack = new AsyncDisposableStack()
  const database = stack.use(await cloneDatabase('auth'))
  const bus = stack.use(await testBus())
  const objects = stack.use(await testObjectStore())
  const [port, opsPort] = [await freePort(), await freePort()]
  const keyEncryptionKey = randomBytes(32)
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
        KEY_ENCRYPTION_KEY: keyEncryptionKey.toString('base64url'),
        MAIL_SECRET_KEY: randomBytes(32).toString('base64url'),
        BOOTSTRAP_TOKEN,
        TRUSTED_HOPS: '0',
        EDGE: edge,
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
    keyEncryptionKey,
    publicUrl,
    tokens,
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

async function signIn(url: string, database: TestDatabase): Promise<AuthService['tokens']> {
  await post(url, '/auth/bootstrap', { bootstrapToken: BOOTSTRAP_TOKEN, email: ADMIN, password: PASSWORD, name: 'Ada' })
  // Registering needs a mail; here it matters only that there is somebody who may do less.
  for (const [name, role] of Object.entries(others)) {
    await database.query(
      `insert into account (id, email, email_key, name, language, roles, password_hash, verified_at, created_at, updated_at)
       select uuidv7(), $1, $1, 'Cleo', language, array[$2], password_hash, verified_at, created_at, updated_at
       from account where email = $3`,
      [`${name}@example.com`, role, ADMIN],
    )
  }
  const { tokens } = await enrolAdministrator(sendPast(url), { email: ADMIN, password: PASSWORD })
  const tokenOf = async (name: Person) =>
    (await post(url, '/auth/login', { email: `${name}@example.com`, password: PASSWORD })).accessToken
  return {
    admin: tokens.accessToken,
    customer: await tokenOf('customer'),
    stranger: await tokenOf('stranger'),
    manager: await tokenOf('manager'),
  }
}

/** Calls auth past the edge, with the internal token that the edge would have brought. */
function sendPast(url: string): SendCall {
  return async (route, { body, accessToken }) => {
    const claims = accessToken === undefined ? undefined : decodeJwt<{ sid: string; roles: string[] }>(accessToken)
    const caller = claims && signedIn(route, { userId: claims.sub ?? '', sessionId: claims.sid, roles: claims.roles })
    const response = await fetch(url + route.path, {
      method: route.method,
      headers: { ...caller, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? null : JSON.stringify(body),
    })
    return { status: response.status, body: await response.json() }
  }
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
