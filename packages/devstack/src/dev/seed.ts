import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { authRoutes, fillPath, problems, productsRoutes, type Problem, type Product, type Role } from '@saas/contracts'
import { Authenticator, enrolAdministrator, signInWithFactor, type SendCall } from '../authenticator.ts'
import { drawDemoPicture } from './demo-pictures.ts'
import { demoProducts } from './demo-products.ts'
import type { StackAccount, StackState } from './stack-state.ts'

interface SeedOptions {
  readonly edgeUrl: string
  readonly mailboxUrl: string
  readonly bootstrapToken: string
  /** Where the secret of the administrator's authenticator app is kept, for as long as the data is. */
  readonly totpFile: string
  readonly signal: AbortSignal
}

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

interface SignedIn {
  readonly token: string
  readonly user: { readonly id: string; readonly roles: readonly Role[] }
}

const CALL_TIMEOUT_MS = 15_000
const MAIL_TIMEOUT_MS = 20_000
const MAIL_PROBE_INTERVAL_MS = 50
const PRODUCTS_AT_ONCE = 4

/** The accounts of a development stack. Their passwords are no secret: the stack listens on this machine only. */
const accounts: Readonly<Record<Role, StackAccount>> = {
  admin: { email: 'admin@example.com', password: 'violet-harbour-lantern-42' },
  manager: { email: 'manager@example.com', password: 'copper-meadow-compass-17' },
  customer: { email: 'customer@example.com', password: 'silver-orchard-window-58' },
}

const names: Readonly<Record<Role, string>> = { admin: 'Ada Lovell', manager: 'Mina Okafor', customer: 'Carl Brandt' }

/**
 * Makes the accounts and the demo products, all through the edge like anybody else: the admin with the bootstrap token, the
 * others by registering and reading their mail. Doing it again changes nothing.
 */
export async function seed(options: SeedOptions): Promise<void> {
  await bootstrapAdmin(options)
  await Promise.all([registerAccount(options, 'manager'), registerAccount(options, 'customer')])
  const manager = await signIn(options, accounts.manager)
  const token = manager.user.roles.includes('manager') ? manager.token : await appoint(options, manager)
  await createProducts(options, token)
  await addPictures(options, token)
}

/**
 * Makes the manager one and signs them in as such. Only where that is still to do: each code of the administrator's app counts
 * once, and a start should not use up the one that somebody is about to type.
 */
async function appoint(options: SeedOptions, manager: SignedIn): Promise<string> {
  const token = await signInAdmin(options)
  const path = fillPath(authRoutes.setRoles.path, { id: manager.user.id })
  await call(options, 'PUT', path, { token, body: { roles: ['manager'] } })
  return (await signIn(options, accounts.manager)).token
}

/** The accounts as scripts use them: the administrator's with the secret of the authenticator app, once it is set up. */
export function accountsOf(totpFile: string): StackState['accounts'] {
  if (!existsSync(totpFile)) return accounts
  return { ...accounts, admin: { ...accounts.admin, totpSecret: readFileSync(totpFile, 'utf8').trim() } }
}

/** Administrators need a second factor: it is set up the first time, and used from then on. */
async function signInAdmin(options: SeedOptions): Promise<string> {
  const send: SendCall = async (route, { body = {}, accessToken }) =>
    await call(options, route.method, route.path, {
      body: route.body === undefined ? undefined : body,
      ...(accessToken === undefined ? {} : { token: accessToken }),
    })
  const { totpSecret, ...owner } = accountsOf(options.totpFile).admin
  const login = await send(authRoutes.login, { body: { email: owner.email, password: owner.password } })
  // Data that was thrown away took the factor with it, and the file may have stayed.
  if (totpSecret !== undefined && 'mfaToken' in (login.body as object)) {
    const authenticator = new Authenticator(totpSecret, [])
    const signInByCode = async (): Promise<string> =>
      (await signInWithFactor(send, { ...owner, authenticator })).accessToken
    // A run that was cut off, or somebody by hand, may have used the code of this half minute: then the next one counts.
    return await signInByCode().catch(signInByCode)
  }
  // Kept before it counts: whoever ends this run in between would never get in again.
  const sendAndKeep: SendCall = async (route, given) => {
    const answer = await send(route, given)
    if (route.id === authRoutes.proposeTotp.id) {
      writeFileSync(options.totpFile, `${(answer.body as { secret: string }).secret}\n`, { mode: 0o600 })
    }
    return answer
  }
  return (await enrolAdministrator(sendAndKeep, owner)).tokens.accessToken
}

async function bootstrapAdmin(options: SeedOptions): Promise<void> {
  const { email, password } = accounts.admin
  const body = { bootstrapToken: options.bootstrapToken, email, password, name: names.admin }
  await call(options, 'POST', authRoutes.bootstrap.path, { body, fine: [problems.bootstrapClosed] })
}

async function registerAccount(options: SeedOptions, role: 'manager' | 'customer'): Promise<void> {
  const { email, password } = accounts[role]
  if ((await trySignIn(options, accounts[role])) !== undefined) return
  await call(options, 'POST', authRoutes.register.path, {
    body: { email, password, name: names[role], language: 'en' },
  })
  await proveAddress(options, email)
}

/** Tries the code of each mail as it comes: where a seed was cut off, its mails are sent only now, and their codes count no more. */
async function proveAddress(options: SeedOptions, email: string): Promise<void> {
  const tried = new Set<string>()
  const deadline = Date.now() + MAIL_TIMEOUT_MS
  while (Date.now() < deadline) {
    for (const { id, code } of await codesMailed(options, email, tried)) {
      tried.add(id)
      const body = { email, code }
      const { status } = await call(options, 'POST', authRoutes.verify.path, { body, fine: [problems.wrongToken] })
      await fetch(`${options.mailboxUrl}/api/v1/messages`, { method: 'DELETE', body: JSON.stringify({ IDs: [id] }) })
      if (status < 300) return
    }
    await delay(MAIL_PROBE_INTERVAL_MS, undefined, { signal: options.signal })
  }
  throw new Error(`no mail with a code for ${email} that counts arrived within ${MAIL_TIMEOUT_MS / 1000} s`)
}

async function codesMailed(
  options: SeedOptions,
  email: string,
  tried: ReadonlySet<string>,
): Promise<readonly { readonly id: string; readonly code: string }[]> {
  const query = encodeURIComponent(`to:${email}`)
  const found = await fetch(`${options.mailboxUrl}/api/v1/search?query=${query}`, { signal: options.signal })
  const { messages } = (await found.json()) as { messages: { ID: string }[] }
  const codes = messages.map(async ({ ID: id }) => {
    if (tried.has(id)) return []
    const answer = await fetch(`${options.mailboxUrl}/api/v1/message/${id}`, { signal: options.signal })
    const code = /\b\d{6}\b/.exec(((await answer.json()) as { Text: string }).Text)?.[0]
    return code === undefined ? [] : [{ id, code }]
  })
  return (await Promise.all(codes)).flat()
}

async function signIn(options: SeedOptions, account: StackAccount): Promise<SignedIn> {
  const signedIn = await trySignIn(options, account)
  if (signedIn === undefined) throw new Error(`${account.email} cannot sign in with its development password`)
  return signedIn
}

async function trySignIn(options: SeedOptions, account: StackAccount): Promise<SignedIn | undefined> {
  const { email, password } = account
  const { status, body } = await call(options, 'POST', authRoutes.login.path, {
    body: { email, password },
    // An unproven address is what a seed that was cut off leaves behind.
    fine: [problems.wrongCredentials, problems.addressNotVerified],
  })
  return status === 200 ? { token: String(body['accessToken']), user: body['user'] as SignedIn['user'] } : undefined
}

async function createProducts(options: SeedOptions, token: string): Promise<void> {
  await forEach(demoProducts, async (body) => {
    await call(options, 'POST', productsRoutes.createProduct.path, { token, body, fine: [problems.skuTaken] })
  })
}

/** Only to products as they were made: who takes a picture away finds it gone after the next start, too. */
async function addPictures(options: SeedOptions, token: string): Promise<void> {
  const path = `${productsRoutes.listProducts.path}?limit=100&sort=name`
  const { body } = await call(options, 'GET', path, { token, body: undefined })
  const demoSkus = new Set(demoProducts.map(({ sku }) => sku))
  const untouched = (body['items'] as Product[]).filter(({ sku, version }) => demoSkus.has(sku) && version === 1)
  await forEach(untouched, async ({ id, name }) => {
    const picture = await drawDemoPicture(name)
    await call(options, 'PUT', fillPath(productsRoutes.putPicture.path, { id, n: 1 }), { token, body: picture })
  })
}

/** The workers share one iterator, so each is taken once. */
async function forEach<T>(all: readonly T[], handle: (one: T) => Promise<void>): Promise<void> {
  const waiting = all.values()
  const work = async (): Promise<void> => {
    for (const one of waiting) await handle(one)
  }
  await Promise.all(Array.from({ length: PRODUCTS_AT_ONCE }, work))
}

async function call(
  options: SeedOptions,
  method: string,
  path: string,
  { token, body, fine = [] }: { token?: string; body: object | Buffer | undefined; fine?: readonly Problem[] },
): Promise<Answer> {
  const isFile = Buffer.isBuffer(body)
  const response = await fetch(new URL(path, options.edgeUrl), {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': isFile ? 'application/octet-stream' : 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: body === undefined ? null : isFile ? new Uint8Array(body) : JSON.stringify(body),
    signal: AbortSignal.any([options.signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]),
  })
  const text = await response.text()
  const answer = text.startsWith('{') ? (JSON.parse(text) as Answer['body']) : {}
  const type = typeof answer['type'] === 'string' ? answer['type'] : ''
  if (!response.ok && !fine.some((problem) => type.endsWith(problem.type))) {
    throw new Error(`${method} ${path} answered ${response.status}: ${text.slice(0, 500)}`)
  }
  return { status: response.status, body: answer }
}
