import { authRoutes } from '@saas/contracts'
import {
  accessToken,
  cloneDatabase,
  eventually,
  FakeClock,
  strangersKey,
  testBus,
  type TestService,
} from '@saas/testing'
import { decodeProtectedHeader } from 'jose'
import { expect, test } from 'vitest'
import { newUser, startedAuth, type SignedInUser } from './fixtures.ts'

const ISSUER = 'http://localhost:8080'
const CLIENTS = 3
/** What the clock of each replica is ahead of or behind the middle one. */
const CLOCK_ERRORS_MS = [-20_000, 0, 20_000]
const STEP_MS = 10_000
/** Before and after the moment at which the middle replica begins to sign with the next key. */
const AROUND_MS = 40_000

const kidOf = (token: string): string => decodeProtectedHeader(token).kid ?? ''

/** What auth answers over the wire, as the edge asks. */
async function decided(auth: TestService, token: string): Promise<number> {
  const headers = { 'x-original-method': 'GET', 'x-original-uri': '/profile', authorization: `Bearer ${token}` }
  const response = await fetch(`${auth.url}/authz`, { method: 'POST', headers })
  await response.arrayBuffer()
  return response.status
}

interface Replica {
  readonly auth: TestService
  readonly clock: FakeClock
  /** The keys it has signed with. */
  readonly signedWith: Set<string>
}

test('signing keys change without a refused token while replicas with different clocks sign and verify under load', async () => {
  await using database = await cloneDatabase('auth')
  await using bus = await testBus()
  await using stack = new AsyncDisposableStack()
  const replicas: Replica[] = []
  for (const errorMs of CLOCK_ERRORS_MS) {
    const clock = new FakeClock(new Date(Date.now() + errorMs))
    const auth = stack.use(await startedAuth({}, { database, bus, clock }))
    replicas.push({ auth, clock, signedWith: new Set() })
  }
  const [before, after] = await eventually(async () => {
    const keys = await database.query<{ id: string; signsFrom: Date }>(
      'select id, signs_from as "signsFrom" from signing_key order by signs_from',
    )
    return keys.length === 2 && keys
  })
  const changesAtMs = after?.signsFrom.getTime() ?? 0
  for (const [index, { clock }] of replicas.entries()) {
    clock.set(new Date(changesAtMs - AROUND_MS + (CLOCK_ERRORS_MS[index] ?? 0)))
  }
  const [{ auth } = { auth: undefined }] = replicas
  if (auth === undefined) throw new Error('There is no replica')
  const users = await Promise.all(Array.from({ length: CLIENTS }, async () => await newUser(auth)))

  const failed: string[] = []
  const rounds = users.map(() => 0)
  let acceptedEarly = 0
  const done = new AbortController()
  const judge = async (token: string): Promise<void> => {
    for (const { auth: judging, clock } of replicas) {
      const isEarly = kidOf(token) === after?.id && clock.now().getTime() < changesAtMs
      const status = await decided(judging, token)
      if (status !== 200) failed.push(`a token by ${kidOf(token)}: ${status}`)
      else if (isEarly) acceptedEarly += 1
    }
  }
  const client = async ({ refreshToken: first }: SignedInUser, index: number): Promise<void> => {
    let refreshToken = first
    let previous: string | undefined
    for (let turn = index; !done.signal.aborted; turn += 1) {
      const { auth: signing, signedWith } = replicas[turn % replicas.length] ?? { auth, signedWith: new Set() }
      const { status, body } = await signing.call(authRoutes.refresh, { body: { refreshToken } })
      if (status !== 200) {
        failed.push(`refreshing: ${status}`)
        return
      }
      const tokens = body as { accessToken: string; refreshToken: string }
      signedWith.add(kidOf(tokens.accessToken))
      await judge(tokens.accessToken)
      if (previous !== undefined) await judge(previous)
      previous = tokens.accessToken
      refreshToken = tokens.refreshToken
      rounds[index] = (rounds[index] ?? 0) + 1
    }
  }
  // Keys that nobody has make each replica read the keys again, at most once a second: what it does not know by then it refuses.
  const stranger = async (): Promise<void> => {
    const privateKey = strangersKey()
    while (!done.signal.aborted) {
      for (const { auth: judging, clock } of replicas) {
        const forged = accessToken({ id: crypto.randomUUID(), privateKey }, ISSUER, { now: clock.now() })
        const status = await decided(judging, forged)
        if (status !== 401) failed.push(`a stranger's token: ${status}`)
      }
    }
  }
  const load = [...users.map(client), stranger()]
  for (let movedMs = 0; movedMs <= 2 * AROUND_MS; movedMs += STEP_MS) {
    // Three rounds: each replica has signed for each client.
    const until = rounds.map((count) => count + replicas.length)
    await eventually(() => failed.length > 0 || rounds.every((count, index) => count >= (until[index] ?? 0)))
    for (const { clock } of replicas) clock.advance(STEP_MS)
  }
  done.abort()
  await Promise.all(load)
  expect(failed).toEqual([])
  for (const { signedWith } of replicas) expect([...signedWith]).toEqual([before?.id, after?.id])
  expect(acceptedEarly).toBeGreaterThan(0)
}, 60_000)
