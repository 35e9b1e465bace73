import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { allRoutes, fillPath, isAllowed, roles, type Role, type Route } from '@saas/contracts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fixtures, type Fixture, type Sent } from './fixtures.ts'
import { Shop, type Person } from './shop.ts'

const routes = allRoutes.filter((route) => route.access !== 'internal')
const callers = ['anonymous', ...roles] as const
type Caller = (typeof callers)[number]

let shop: Shop
/** Whose things nobody may see or change: one for each caller, since callers are tried at once. */
let strangers: readonly Stranger[]
let cells = 0
beforeAll(async () => {
  shop = await Shop.start()
  const people = await shop.people(callers.map(() => 'customer' as const))
  strangers = await Promise.all(people.map(async (person) => ({ person, order: await shop.order(person) })))
})
afterAll(async () => {
  // oxlint-disable-next-line no-console -- the figure that the test is for
  console.log(`${cells} cells of route × role × owner, of ${routes.length} routes`)
  await shop[Symbol.asyncDispose]()
})

test('every route has a fixture, and every fixture a route', () => {
  expect([...fixtures.keys()].toSorted()).toEqual(routes.map((route) => route.id).toSorted())
})

describe('who may call it, and on whose things', () => {
  test.each(routes.map((route) => [route.id, route] as const))('%s', async (id, route) => {
    const fixture = fixtures.get(id)
    if (fixture === undefined) throw new Error(`${id} has no fixture`)
    const people = await shop.people(callers.map((caller) => (caller === 'anonymous' ? 'customer' : caller)))
    const wrong = await Promise.all(
      callers.map(async (caller, index) => {
        const cell = { route, fixture, caller, person: at(people, index), stranger: at(strangers, index) }
        return [await ownCell(cell), await strangersCell(cell)]
      }),
    )
    expect(wrong.flat(2)).toEqual([])
  })
})

function at<T>(things: readonly T[], index: number): T {
  const thing = things[index]
  if (thing === undefined) throw new Error(`There is no ${index}`)
  return thing
}

interface Stranger {
  readonly person: Person
  readonly order: string
}

/** One caller of one route. */
interface Cell {
  readonly route: Route
  readonly fixture: Fixture
  readonly caller: Caller
  readonly person: Person
  readonly stranger: Stranger
}

/** What is wrong when the thing is the caller's own, or nobody's in particular. */
async function ownCell({ route, fixture, caller, person }: Cell): Promise<readonly string[]> {
  cells += 1
  const answer = await call(route, signedIn(caller, person), await fixture.sent(shop, person))
  const expected = expectedStatus(route, fixture, caller)
  if (expected === fixture.status && answer.status === fixture.pending) return []
  return answer.status === expected ? [] : [`${caller}, own: ${answer.status}, not ${expected}: ${answer.body}`]
}

/** What is wrong when it is somebody else's: it has to look as if it were not there, and nothing may happen to it. */
async function strangersCell({
  route,
  fixture,
  caller,
  person,
  stranger: { person: stranger, order },
}: Cell): Promise<readonly string[]> {
  if (fixture.of === 'shared') return []
  cells += 1
  const as = signedIn(caller, person)
  const sent = await fixture.sent(shop, fixture.of === 'named' ? stranger : person)
  const before = await thingsOf(stranger)
  const answer = await call(route, as, sent)
  const isUnchanged = isDeepStrictEqual(await thingsOf(stranger), before)
  const mayRead = fixture.readableWith !== undefined && isAllowed(fixture.readableWith, rolesOf(caller))
  if (mayRead) return answer.status === fixture.status && isUnchanged ? [] : [`${caller}, another's: ${answer.status}`]
  const shown = [stranger.userId, stranger.email, stranger.sessionId, order].filter((id) => answer.body.includes(id))
  const wrong = isUnchanged ? [] : ['changed']
  if (shown.length > 0) wrong.push('shown')
  if (fixture.of === 'named') {
    const expected = expectedStatus(route, { ...fixture, status: 404 }, caller)
    const absent = await call(route, as, withUnknownIds(sent))
    if (answer.status !== expected) wrong.push(`${answer.status}, not ${expected}`)
    if (!isDeepStrictEqual(comparable(answer), comparable(absent))) wrong.push('unlike what is not there')
  }
  return wrong.map((what) => `${caller}, another's: ${what}`)
}

function rolesOf(caller: Caller): readonly Role[] | undefined {
  return caller === 'anonymous' ? undefined : [caller]
}

function signedIn(caller: Caller, person: Person): Person | undefined {
  return caller === 'anonymous' ? undefined : person
}

function expectedStatus(route: Route, fixture: Fixture, caller: Caller): number {
  const callerRoles = rolesOf(caller)
  if (isAllowed(route.access, callerRoles)) return fixture.status
  return callerRoles === undefined ? 401 : 403
}

interface Answer {
  readonly status: number
  readonly body: string
}

async function call(route: Route, as: Person | undefined, sent: Sent): Promise<Answer> {
  const { params = {}, query, headers = {}, body } = sent
  const path = fillPath(route.path, params)
  const text = body === undefined ? undefined : 'mediaType' in body ? body.text : JSON.stringify(body)
  const mediaType = body !== undefined && 'mediaType' in body ? body.mediaType : 'application/json'
  const ended = new AbortController()
  const response = await fetch(`${shop.edge.url}${path}${query === undefined ? '' : `?${query}`}`, {
    method: route.method,
    redirect: 'manual',
    signal: ended.signal,
    headers: {
      ...headers,
      ...(as === undefined ? {} : { authorization: `Bearer ${as.accessToken}` }),
      ...(text === undefined ? {} : { 'content-type': mediaType }),
    },
    ...(text === undefined ? {} : { body: text }),
  })
  // A stream of events goes on; that it began is the answer.
  if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true) {
    return { status: response.status, body: await response.text() }
  }
  ended.abort()
  return { status: response.status, body: '' }
}

function withUnknownIds(sent: Sent): Sent {
  return { ...sent, params: Object.fromEntries(Object.keys(sent.params ?? {}).map((name) => [name, randomUUID()])) }
}

/** Two answers that say the same differ in nothing but the request they are about. */
function comparable({ status, body }: Answer): Answer {
  return { status, body: body.replace(/urn:uuid:[0-9a-f-]{36}/, '') }
}

/** What somebody has, as the databases have it. */
async function thingsOf({ userId }: Person): Promise<object> {
  const { auth, orders } = shop
  const [identity] = await auth.database.query(
    `select name, email, roles, password_hash, disabled_at, preferences, (
       select json_agg(json_build_array(id, ended_at) order by id) from session where account_id = account.id
     ) as sessions
     from account
     where id = $1`,
    [userId],
  )
  const [trade] = await orders.database.query(
    `select
       (select json_agg(json_build_array(order_id, status = 'cancelled') order by order_id) from orders where user_id = $1) as orders,
       (select lines from cart where user_id = $1) as cart`,
    [userId],
  )
  return { identity, trade }
}
