import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { Child, cloneDirectory, freePort } from '@saas/devstack'
import { currentSigningKey } from '@saas/testing/forgery'
import { join } from 'node:path'
import { hash } from '@node-rs/argon2'
import { interleave, median, type Benchmark } from './frame/benchmark.ts'
import { sendLoad, type MeasuredLoad } from './frame/load.ts'
import type { Stage } from './frame/stage.ts'
import { startEdge } from './auth/edge.ts'
import { p99AtRate } from './auth/paced.ts'
import { asking, type AskingOptions } from './auth/requests.ts'

const TOKENS = 10_000
const CONNECTIONS = 64
const MANY_TOKENS = 1_000_000
const MANY_AT_ONCE = 100_000
/** Of those, so many are good; the others are by keys that nobody has. Signing a million takes longer than it says anything. */
const MANY_GOOD_AT_ONCE = 6_000
const ACCOUNTS = 1_000
const PASSWORD = 'quiet-otter-lends-a-ladder'
const HASHED_AT_ONCE = 8
const SOURCE = new URL('auth/requests.ts', import.meta.url).href
const parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

export const auth: Benchmark = {
  title: 'Deciding and signing in',
  run: async ({ stage, repetitions, seconds, say }) => {
    const service = await stage.startService('auth')
    await using empty = await startEmpty()
    await using edge = await startEdge(stage, { auth: service.url, others: empty.url })
    const options = await askingOptions(stage)
    const load = async (url: string, name: string, more: object = {}, requests = TOKENS): Promise<MeasuredLoad> => {
      const job = { url, connections: CONNECTIONS, requests, seconds }
      const source = { module: SOURCE, name, options: { ...options, ...more } }
      const result = await sendLoad({ ...job, source }, { ...stage.processes, empty: empty.pid, nginx: edge.pid })
      say(`${name} at ${url}: ${Math.round(result.perSecond)}/s ${JSON.stringify(result.statuses)}`)
      return result
    }
    // Each token is met once before, as an edge meets it every few seconds; what a first time costs is told apart.
    const first = await sendLoad({
      url: service.url,
      connections: CONNECTIONS,
      requests: TOKENS,
      source: { module: SOURCE, name: 'asking', options },
    })
    const direct = await interleave(repetitions, {
      authz: () => load(service.url, 'asking'),
      empty: () => load(empty.url, 'asking'),
    })
    const through = await interleave(repetitions, {
      asked: () => load(edge.url, 'calling', { path: '/cart' }),
      open: () => load(edge.openUrl, 'calling', { path: '/cart' }),
    })
    const perSecond = (results: readonly MeasuredLoad[]): number => median(results.map((result) => result.perSecond))
    const half = perSecond(direct.authz) / 2
    const p99Ms: number[] = []
    const requestAt = asking(options)
    for (let repetition = 0; repetition < repetitions; repetition += 1) {
      p99Ms.push(await p99AtRate(service.url, requestAt, { perSecond: half, seconds }))
    }
    const emails = await makeAccounts(stage)
    const passwordHash = await hash(PASSWORD, parameters)
    const signing = await interleave(repetitions, {
      login: async () => {
        const job = { url: service.url, connections: HASHED_AT_ONCE, requests: 4_000, seconds }
        const source = { module: SOURCE, name: 'signingIn', options: { emails, password: PASSWORD } }
        const result = await sendLoad({ ...job, source }, stage.processes)
        say(`login: ${Math.round(result.perSecond)}/s ${JSON.stringify(result.statuses)}`)
        return result.perSecond
      },
      bare: () => hashesPerSecond(passwordHash, seconds),
    })
    const before = megabytesOf(service.child.pid)
    for (let from = 0; from < MANY_TOKENS; from += MANY_AT_ONCE) {
      const source = { module: SOURCE, name: 'askingMany', options: { ...options, good: MANY_GOOD_AT_ONCE, from } }
      const job = { url: service.url, connections: CONNECTIONS, requests: MANY_AT_ONCE, source }
      const { statuses } = await sendLoad(job)
      say(`${from + MANY_AT_ONCE} tokens: ${JSON.stringify(statuses)}`)
    }
    const grown = megabytesOf(service.child.pid) - before
    const measure = (name: string, results: readonly MeasuredLoad[]) => ({
      name,
      unit: 'requests/s',
      values: results.map((result) => result.perSecond),
      cores: results[0]?.cores ?? {},
    })
    return {
      measures: [
        measure(`/authz, ${TOKENS.toLocaleString('en')} tokens`, direct.authz),
        { name: '/authz, each token for the first time', unit: 'requests/s', values: [first.perSecond] },
        measure('an empty Fastify route that answers 204', direct.empty),
        measure('GET /cart through nginx, auth asked', through.asked),
        measure('the same without auth_request', through.open),
        { name: `p99 of /authz at ${Math.round(half).toLocaleString('en')}/s`, unit: 'ms', values: p99Ms },
        { name: `POST /auth/login, ${HASHED_AT_ONCE} at once`, unit: 'logins/s', values: signing.login },
        { name: `bare argon2id, ${HASHED_AT_ONCE} at once`, unit: 'hashes/s', values: signing.bare },
        { name: 'memory of auth after a million distinct tokens', unit: 'MB more', values: [grown] },
      ],
      ratios: [
        { name: '/authz to the empty route', value: perSecond(direct.authz) / perSecond(direct.empty), aim: 0.8 },
        {
          name: 'through nginx: asked to not asked',
          value: perSecond(through.asked) / perSecond(through.open),
          aim: 0.6,
        },
        { name: 'p99 of /authz at half the maximum', value: median(p99Ms), unit: ' ms', aim: 5, atMost: true },
        { name: 'login to bare argon2id', value: median(signing.login) / median(signing.bare), aim: 0.9 },
        { name: 'memory after a million tokens', value: grown, unit: ' MB', aim: 150, atMost: true },
      ],
    }
  },
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
    isReady: async (signal) => (await fetch(`${url}/cart`, { signal })).status === 204,
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
  return { keyId: id, privateKeyPem, issuer: 'http://localhost:8080', tokens: TOKENS, issuedAtMs: Date.now() }
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
