import { allEvents, authRoutes, type Event, type DataOf, type MailSecret } from '@saas/contracts'
import { enrolAdministrator, type Authenticator, type SendCall } from '@saas/devstack'
import { eventually, internalTokenKey, startService, type ServiceParts, type TestService } from '@saas/testing'
import { compactDecrypt, decodeJwt } from 'jose'
import { startAuth } from '../src/main.ts'
import type { AuthConfig } from '../src/config.ts'

export const PASSWORD = 'correct otter lantern 42'
export const BOOTSTRAP_TOKEN = 'only the operator has this'
export const mailSecretKey = new Uint8Array(32).fill(7)
export const keyEncryptionKey = new Uint8Array(32).fill(9)

const services = ['auth', 'products', 'orders', 'notifications'] as const

/** Starts auth with everything real but the time. */
export async function startedAuth(
  config: Partial<AuthConfig> = {},
  parts: Omit<ServiceParts<AuthConfig>, 'config'> = {},
): Promise<TestService> {
  return await startService<AuthConfig>('auth', startAuth, {
    ...parts,
    config: {
      internalTokenKeysByService: new Map(services.map((service) => [service, [internalTokenKey(service)]])),
      keyEncryptionKey,
      mailSecretKey,
      bootstrapToken: BOOTSTRAP_TOKEN,
      edge: 'nginx',
      trustedHops: 0,
      oidcProviders: [],
      ...config,
    },
  })
}

/** An event as auth's outbox has it. */
export interface Written<E extends Event = Event> {
  readonly version: number
  readonly subject: string
  readonly data: DataOf<E>
}

/** The events of one kind about an address, the oldest first. */
export async function eventsTo<const E extends Event>(
  auth: TestService,
  event: E,
  email: string,
): Promise<Written<E>[]> {
  return await auth.database.query<Written<E>>(
    `select aggregate_version::integer as version, subject, data
     from outbox where subject = $1 and data ->> 'email' = $2
     -- An address may have been several accounts', each with versions of its own.
     order by created_at, aggregate_version`,
    [event.subject, email],
  )
}

/** Waits for the n-th mail of a kind and opens what it carries. */
export async function mailedSecret(auth: TestService, event: Event, email: string, n = 1): Promise<MailSecret> {
  const { data } = await eventually(async () => {
    const mails = await eventsTo(auth, event, email)
    return mails[n - 1] ?? false
  })
  const { plaintext } = await compactDecrypt((data as { secret: string }).secret, mailSecretKey)
  return JSON.parse(new TextDecoder().decode(plaintext)) as MailSecret
}

export function tokenOf(secret: MailSecret): string {
  return secret.link?.split('#token=')[1] ?? ''
}

const verificationRequested = allEvents.get('msg.auth.verification.requested') as Event

/** Registers an address and proves it, as a person would. */
export async function registered(auth: TestService, email: string, name = 'Ada Lovelace'): Promise<void> {
  const answer = await auth.call(authRoutes.register, { body: { email, password: PASSWORD, name } })
  if (answer.status !== 202) throw new Error(`register answered ${answer.status}`)
  const secret = await mailedSecret(auth, verificationRequested, email)
  const verified = await auth.call(authRoutes.verify, { body: { token: tokenOf(secret) } })
  if (verified.status !== 200) throw new Error(`verify answered ${verified.status}`)
}

/** Who signed in, with the tokens they hold. */
export interface SignedInUser {
  readonly accessToken: string
  readonly refreshToken: string
  readonly userId: string
  readonly sessionId: string
  /** For `call`: as the edge would name them. */
  readonly as: { userId: string; sessionId: string; roles: string[] }
}

export async function signIn(
  auth: TestService,
  email: string,
  headers: Record<string, string> = {},
  password = PASSWORD,
): Promise<SignedInUser> {
  const answer = await auth.call(authRoutes.login, { body: { email, password }, headers })
  if (answer.status !== 200) throw new Error(`login answered ${answer.status} ${JSON.stringify(answer.body)}`)
  return userOf(answer.body)
}

export function userOf(body: { accessToken: string; refreshToken: string }): SignedInUser {
  const { sub = '', sid, roles } = decodeJwt<{ sid: string; roles: string[] }>(body.accessToken)
  const { accessToken, refreshToken } = body
  return { accessToken, refreshToken, userId: sub, sessionId: sid, as: { userId: sub, sessionId: sid, roles } }
}

/** Registers and signs in somebody new. */
export async function newUser(auth: TestService, email = `${crypto.randomUUID()}@example.com`): Promise<SignedInUser> {
  await registered(auth, email)
  return await signIn(auth, email)
}

/** The first administrator, signed in. */
export async function administrator(auth: TestService, email = 'root@example.com'): Promise<SignedInUser> {
  const body = { bootstrapToken: BOOTSTRAP_TOKEN, email, password: PASSWORD, name: 'Grace Hopper' }
  const answer = await auth.call(authRoutes.bootstrap, { body })
  if (answer.status !== 201) throw new Error(`bootstrap answered ${answer.status} ${JSON.stringify(answer.body)}`)
  return (await administratorWithFactor(auth, email)).user
}

/** As `administrator`, for an account that has been made already, with the authenticator app it signs in by. */
export async function administratorWithFactor(
  auth: TestService,
  email: string,
): Promise<{ user: SignedInUser; authenticator: Authenticator }> {
  const now = (): Date => auth.clock.now()
  const { tokens, authenticator } = await enrolAdministrator(sendTo(auth), { email, password: PASSWORD }, now)
  return { user: userOf(tokens), authenticator }
}

/** Calls routes as the edge would, for whoever holds the access token. */
export function sendTo(auth: TestService): SendCall {
  return async (route, { body, accessToken }) => {
    const as = accessToken === undefined ? {} : { as: userOf({ accessToken, refreshToken: '' }).as }
    return await auth.call(route, { ...(body === undefined ? {} : { body }), ...as })
  }
}

/** What auth answers the edge about a request. */
export async function decision(
  auth: TestService,
  method: string,
  url: string,
  accessToken?: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; token: string | undefined; headers: Record<string, unknown>; body: string }> {
  const response = await auth.app.inject({
    method: 'POST',
    url: '/authz',
    headers: {
      'x-original-method': method,
      'x-original-uri': url,
      ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
      ...headers,
    },
  })
  const token = response.headers['x-internal-token']
  return {
    status: response.statusCode,
    token: token === undefined ? undefined : String(token),
    headers: response.headers,
    body: response.body,
  }
}

/** Statuses of calls that were made at once, which end in any order. */
export function inOrder(statuses: readonly number[]): readonly number[] {
  return statuses.toSorted((a, b) => a - b)
}

/** An address that nobody had before. */
export function someone(): string {
  return `${crypto.randomUUID()}@example.com`
}

/** As behind the edge and one proxy: the client's own address is the last but one. */
export function from(address: string): Record<string, string> {
  return { 'x-forwarded-for': `${address}, 10.0.0.1` }
}
