import { execFile } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { promisify } from 'node:util'
import { Child, cloneDirectory, freePort } from '@saas/devstack'
import { currentSigningKey } from '@saas/testing/forgery'
import { join } from 'node:path'
import { hash } from '@node-rs/argon2'
import { interleave, median, type Benchmark, type BenchmarkContext, type Measure } from './frame/benchmark.ts'
import { sendLoad, type LoadJob, type MeasuredLoad } from './frame/load.ts'
import { PUBLIC_URL, type Stage, type StageService } from './frame/stage.ts'
import { startEdge } from './auth/edge.ts'
import { customer, type AskingManyOptions, type AskingOptions } from './auth/requests.ts'

const TOKENS = 10_000
/** Each repetition of what is compared with something is made in so many turns. */
const TURNS = 4
/** Fewer, because at the end of each the last eight passwords leave a core idle. */
const SIGN_IN_TURNS = 2
const CONNECTIONS = 64
const PACED_CONNECTIONS = 32
const MANY_TOKENS = 1_000_000
const MANY_AT_ONCE = 100_000
/** Of those: more than are kept. Signing and verifying a million takes minutes and says no more. */
const MANY_GOOD_AT_ONCE = 5_000
const MANY_FORGED_AT_ONCE = 5_000
/** As in its container: where V8 may take all memory of the machine, it collects late, and its size says nothing. */
const HEAP = '--max-old-space-size=192'
const LINES_A_CART = 3
const ACCOUNTS = 1_000
const PASSWORD = 'quiet-otter-lends-a-ladder'
const HASHED_AT_ONCE = 8
const SOURCE = new URL('auth/requests.ts', import.meta.url).href
const parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

export const auth: Benchmark = {
  title: 'Deciding and signing in',
  run: async (context) => {
    const { stage } = context
    const service = await stage.startService('auth', { environment: { NODE_OPTIONS: HEAP } })
    const options = await askingOptions(stage)
    // Each token is met once before, as an edge meets it every few seconds; what a first time costs is told apart.
    const first = await send(context, 'asking', { url: service.url, requests: TOKENS }, options)
    const { direct, paced } = await decide(context, service, options)
    const edge = await callThroughEdge(context, service, options)
    const signing = await signIn(context, service)
    const memory = await meetMany(context, service, options)
    return {
      measures: [
        ...direct.measures,
        { name: '/authz, each token for the first time', unit: 'requests/s', values: [first.perSecond] },
        ...paced.measures,
        ...edge.measures,
        ...signing.measures,
        { name: 'memory of auth before a million distinct tokens', unit: 'MB', values: [memory.before] },
        { name: 'memory of auth after them', unit: 'MB', values: [memory.after] },
        { name: 'its log for 950,000 refusals', unit: 'kB', values: [memory.loggedBytes / 1_024] },
      ],
      ratios: [
        { name: '/authz to the empty route', value: direct.ratio, aim: 0.8 },
        { name: 'p99 of /authz at half the maximum', value: paced.p99Ms, unit: ' ms', aim: 5, atMost: true },
        { name: 'GET /cart through nginx: auth asked to not asked', value: edge.ratio, aim: 0.6 },
        { name: 'login to bare argon2id', value: signing.ratio, aim: 0.9 },
        {
          name: 'more memory after a million tokens',
          value: memory.after - memory.before,
          unit: ' MB',
          aim: 150,
          atMost: true,
        },
      ],
    }
  },
}

interface Compared {
  readonly measures: readonly Measure[]
  /** Of the first to the second, the median of those that were measured next to each other. */
  readonly ratio: number
  /** Median of the first. */
  readonly perSecond: number
}

async function send(
  { stage, say }: BenchmarkContext,
  name: string,
  job: Pick<LoadJob, 'url' | 'requests'> & Partial<LoadJob>,
  options: object,
  watched: Readonly<Record<string, number>> = {},
): Promise<MeasuredLoad> {
  const source = { module: SOURCE, name, options }
  const result = await sendLoad({ connections: CONNECTIONS, ...job, source }, { ...stage.processes, ...watched })
  const wrong = Object.keys(result.statuses).filter((status) => !['200', '204'].includes(status))
  if (result.broken > 0 || (wrong.length > 0 && name !== 'askingMany')) {
    throw new Error(`${name}: ${result.broken} broken, ${JSON.stringify(result.statuses)}`)
  }
  const { perSecond, p99Ms, statuses } = result
  say(`${name}: ${Math.round(perSecond)}/s, p99 ${p99Ms.toFixed(2)} ms, ${JSON.stringify(statuses)}`)
  return result
}

function compare(first: readonly [string, readonly MeasuredLoad[]], second: typeof first): Compared {
  const measureOf = ([name, results]: typeof first) => ({
    name,
    unit: 'requests/s',
    values: results.map(({ perSecond }) => perSecond),
    cores: results[0]?.cores ?? {},
  })
  const [a, b] = [measureOf(first), measureOf(second)]
  return { measures: [a, b], ratio: medianRatio(a.values, b.values), perSecond: median(a.values) }
}

/** A virtual machine is twice as fast in one second as in another: only neighbours are compared, and there are many of them. */
function medianRatio(first: readonly number[], second: readonly number[]): number {
  return median(first.map((value, n) => value / (second[n] ?? Number.NaN)))
}

async function decide(
  context: BenchmarkContext,
  service: StageService,
  options: AskingOptions,
): Promise<{ readonly direct: Compared; readonly paced: Paced }> {
  await using empty = await startEmpty()
  const { repetitions, seconds } = context
  const ask = async (url: string, job: Partial<LoadJob>): Promise<MeasuredLoad> =>
    await send(context, 'asking', { url, requests: TOKENS, ...job }, options, { empty: empty.pid })
  await ask(empty.url, {})
  const briefly = seconds / TURNS
  const results = await interleave(repetitions * TURNS, {
    authz: () => ask(service.url, { seconds: briefly }),
    empty: () => ask(empty.url, { seconds: briefly }),
  })
  const direct = compare(
    [`/authz, ${TOKENS.toLocaleString('en')} live tokens`, results.authz],
    ['an empty Fastify route that answers 204', results.empty],
  )
  const perSecond = Math.round(direct.perSecond / 2)
  const pace = { seconds, perSecond, connections: PACED_CONNECTIONS }
  const latencies = await interleave(repetitions, {
    authz: () => ask(service.url, pace),
    empty: () => ask(empty.url, pace),
  })
  return { direct, paced: pacedMeasures(perSecond, latencies) }
}

interface Paced {
  readonly measures: readonly Measure[]
  readonly p99Ms: number
}

/** The empty route at the same pace tells what the machine and the generator add. */
function pacedMeasures(
  perSecond: number,
  { authz, empty }: Readonly<Record<'authz' | 'empty', readonly MeasuredLoad[]>>,
): Paced {
  const p99Of = (name: string, results: readonly MeasuredLoad[]): Measure => ({
    name: `p99 of ${name} at ${perSecond.toLocaleString('en')}/s`,
    unit: 'ms',
    values: results.map(({ p99Ms }) => p99Ms),
    cores: results[0]?.cores ?? {},
  })
  const measures = [p99Of('/authz', authz), p99Of('the empty route', empty)]
  return { measures, p99Ms: median(measures[0]?.values ?? []) }
}

/** A real route of the shop, answered by its service from its database, each customer's own cart. */
async function callThroughEdge(
  context: BenchmarkContext,
  service: StageService,
  options: AskingOptions,
): Promise<Compared> {
  const { stage, repetitions, seconds } = context
  await using orders = await stage.startService('orders')
  await fillCarts(stage)
  await using edge = await startEdge(stage, { auth: service.url, orders: orders.url })
  const requests = TOKENS
  const open = { ...options, signingKey: stage.signingKey('orders') }
  const briefly = seconds / TURNS
  const results = await interleave(repetitions * TURNS, {
    asked: () => {
      const { url, pid } = edge.asked
      return send(context, 'calling', { url, requests, seconds: briefly }, options, { nginx: pid })
    },
    open: () => {
      const { url, pid } = edge.open
      return send(context, 'callingOpen', { url, requests, seconds: briefly }, open, { nginx: pid })
    },
  })
  return compare(
    ['GET /cart through nginx, auth asked', results.asked],
    ['the same without auth_request', results.open],
  )
}

async function signIn(context: BenchmarkContext, service: StageService): Promise<Compared> {
  const { stage, repetitions, seconds } = context
  const emails = await makeAccounts(stage)
  const passwordHash = await hash(PASSWORD, parameters)
  const job = { url: service.url, connections: HASHED_AT_ONCE, requests: 4_000 }
  const logIn = (forSeconds: number): Promise<MeasuredLoad> =>
    send(context, 'signingIn', { ...job, seconds: forSeconds }, { emails, password: PASSWORD })
  // A service has signed people in before: what compiles during the first thousand is no part of it. Bare hashing has nothing to compile.
  let { cores } = await logIn(2 * seconds)
  const briefly = seconds / SIGN_IN_TURNS
  const results = await interleave(repetitions * SIGN_IN_TURNS, {
    login: async () => {
      const result = await logIn(briefly)
      cores = result.cores
      return result.perSecond
    },
    bare: () => hashesPerSecond(passwordHash, briefly),
  })
  return {
    measures: [
      { name: `POST /auth/login, ${HASHED_AT_ONCE} at once`, unit: 'logins/s', values: results.login, cores },
      { name: `bare argon2id, ${HASHED_AT_ONCE} at once`, unit: 'hashes/s', values: results.bare },
    ],
    ratio: medianRatio(results.login, results.bare),
    perSecond: median(results.login),
  }
}

async function meetMany(
  context: BenchmarkContext,
  service: StageService,
  options: AskingOptions,
): Promise<{ readonly before: number; readonly after: number; readonly loggedBytes: number }> {
  const before = megabytesOf(service.child.pid)
  const loggedBefore = statSync(service.logFile).size
  for (let from = 0; from < MANY_TOKENS; from += MANY_AT_ONCE) {
    const many: AskingManyOptions = { ...options, good: MANY_GOOD_AT_ONCE, forged: MANY_FORGED_AT_ONCE, from }
    const { statuses } = await send(context, 'askingMany', { url: service.url, requests: MANY_AT_ONCE }, many)
    if (statuses['200'] !== MANY_GOOD_AT_ONCE || statuses['401'] !== MANY_AT_ONCE - MANY_GOOD_AT_ONCE) {
      throw new Error(`Not each token was judged rightly: ${JSON.stringify(statuses)}`)
    }
  }
  const loggedBytes = statSync(service.logFile).size - loggedBefore
  return { before, after: megabytesOf(service.child.pid), loggedBytes }
}

async function startEmpty(): Promise<AsyncDisposable & { readonly url: string; readonly pid: number }> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = await Child.start({
    name: 'empty',
    command: process.execPath,
    arguments: [join(import.meta.dirname, 'auth/empty-main.ts')],
    environment: { LISTEN_PORT: String(port), NODE_ENV: 'production' },
    logFile: join(cloneDirectory, '.devstack/bench/empty.log'),
    isReady: async (signal) => (await fetch(`${url}/authz`, { signal })).status === 204,
  })
  return { url, pid: child.pid ?? 0, [Symbol.asyncDispose]: () => child.stop() }
}

async function askingOptions(stage: Stage): Promise<AskingOptions> {
  const keyEncryptionKey = Buffer.from(stage.secrets.keyEncryptionKey, 'base64url')
  const database = {
    query: async <Row>(text: string, values?: readonly unknown[]): Promise<Row[]> =>
      await stage.query<Row>('auth', text, values),
  }
  const { id, privateKey } = await currentSigningKey(database, keyEncryptionKey)
  const privateKeyPem = String(privateKey.export({ format: 'pem', type: 'pkcs8' }))
  return { keyId: id, privateKeyPem, issuer: PUBLIC_URL, tokens: TOKENS, issuedAtMs: Date.now() }
}

async function fillCarts(stage: Stage): Promise<void> {
  const products = Array.from({ length: LINES_A_CART }, (_, n) => customer(n))
  await stage.query(
    'orders',
    `insert into product_copy (product_id, sku, name, amount, currency, price_version, deleted, version)
     select product_id, 'SKU-' || product_id, 'A tin of green tea', 2100, 'EUR', 1, false, 1
     from unnest($1::uuid[]) as p (product_id)`,
    [products],
  )
  const lines = products.map((productId) => ({ productId, quantity: 2, amount: 2_100, currency: 'EUR' }))
  await stage.query(
    'orders',
    `insert into cart (user_id, lines, version, updated_at) select user_id, $2, 1, now() from unnest($1::uuid[]) as u (user_id)`,
    [Array.from({ length: TOKENS }, (_, n) => customer(n)), JSON.stringify(lines)],
  )
  await stage.query('orders', 'vacuum analyze cart')
}

async function makeAccounts(stage: Stage): Promise<readonly string[]> {
  const emails = Array.from({ length: ACCOUNTS }, (_, index) => `person-${index}@example.com`)
  await stage.query(
    'auth',
    `insert into account (id, email, email_key, name, language, roles, password_hash, verified_at, created_at, updated_at)
     select uuidv7(), email, email, 'Cleo', 'en', '{customer}', $2, now(), now(), now()
     from unnest($1::text[]) as e (email)`,
    [emails, await hash(PASSWORD, parameters)],
  )
  return emails
}

async function hashesPerSecond(passwordHash: string, seconds: number): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'auth/hash-main.ts')], {
    env: {
      ...process.env,
      PASSWORD_HASH: passwordHash,
      PASSWORD,
      SECONDS: String(seconds),
      AT_ONCE: String(HASHED_AT_ONCE),
    },
  })
  return Number(stdout)
}

function megabytesOf(pid: number | undefined): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024
}
