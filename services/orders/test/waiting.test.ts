import { setImmediate } from 'node:timers/promises'
import { ordersRoutes, type Order, type OrderStatus } from '@saas/contracts'
import { eventually, signedIn } from '@saas/testing'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DecisionWatch, WATCHERS_MAX, WATCHERS_OF_A_USER_MAX } from '../src/decision-watch.ts'
import { sayRevoked, startTestOrders, type TestOrders } from './fixtures.ts'

let shop: TestOrders
let tea: string

beforeAll(async () => {
  shop = await startTestOrders()
  tea = await shop.products.sell({ amount: 490 })
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

async function place(userId: string, prefer?: string) {
  const body = { lines: [{ productId: tea, quantity: 1 }] }
  const headers = { 'idempotency-key': uuidv7(), ...(prefer === undefined ? {} : { prefer }) }
  return await shop.call<Order>(ordersRoutes.placeOrder, { userId, body, headers })
}

async function newestOrderOf(userId: string): Promise<Order> {
  return await eventually(async () => {
    const { body } = await shop.call<{ items: Order[] }>(ordersRoutes.listOrders, { userId })
    return body.items[0] ?? false
  })
}

describe('the answer waits for the decision', () => {
  test('as long as the client prefers to', async () => {
    const userId = uuidv7()
    const answering = place(userId, 'wait=30')
    await shop.products.reserve(await newestOrderOf(userId))
    const answer = await answering
    expect([answer.status, answer.body.status]).toEqual([201, 'confirmed'])
    expect(answer.headers['preference-applied']).toBe('wait=30')
  })

  test('and tells a refusal with its reason', async () => {
    const userId = uuidv7()
    const answering = place(userId)
    await shop.products.refuse(await newestOrderOf(userId), 'out-of-stock')
    const answer = await answering
    expect([answer.status, answer.body.status, answer.body.reason]).toEqual([201, 'rejected', 'out-of-stock'])
    expect(answer.headers['preference-applied']).toBeUndefined()
  })

  test('not longer: then the order is pending', async () => {
    const userId = uuidv7()
    const answering = place(userId, 'wait=7')
    let isAnswered = false
    void answering.then(() => (isAnswered = true))
    await newestOrderOf(userId)
    shop.service.clock.advance(6_000)
    await shop.products.heard()
    expect(isAnswered).toBe(false)
    shop.service.clock.advance(1_000)
    expect((await answering).body.status).toBe('pending')
  })

  test('two seconds when nothing is said, and not at all with wait=0', async () => {
    const userId = uuidv7()
    const answering = place(userId)
    await newestOrderOf(userId)
    shop.service.clock.advance(2_000)
    expect((await answering).body.status).toBe('pending')
    const answer = await place(userId, 'wait=0')
    expect([answer.body.status, answer.headers['preference-applied']]).toEqual(['pending', 'wait=0'])
  })

  test('thirty seconds at the most', async () => {
    const userId = uuidv7()
    const answering = place(userId, 'wait=600')
    await newestOrderOf(userId)
    shop.service.clock.advance(30_000)
    expect((await answering).headers['preference-applied']).toBe('wait=30')
  })

  test('and a replay waits as well', async () => {
    const userId = uuidv7()
    const parts = {
      userId,
      body: { lines: [{ productId: tea, quantity: 1 }] },
      headers: { 'idempotency-key': 'k', prefer: 'wait=0' },
    }
    const first = await shop.call<Order>(ordersRoutes.placeOrder, parts)
    const replaying = shop.call<Order>(ordersRoutes.placeOrder, {
      ...parts,
      headers: { ...parts.headers, prefer: 'wait=30' },
    })
    await shop.products.reserve(first.body)
    const replay = await replaying
    expect([replay.body.id, replay.body.status]).toEqual([first.body.id, 'confirmed'])
  })
})

describe('the watch', () => {
  const order = {
    order: {
      id: uuidv7(),
      status: 'pending' as const,
      lines: [],
      total: { amount: 0, currency: 'EUR' },
      createdAt: '2026-01-01T00:00:00.000Z',
    },
    version: 1,
  }
  const decided = {
    order_id: order.order.id,
    user_id: uuidv7(),
    status: 'confirmed' as OrderStatus,
    version: 2,
    reason: null,
    decided_at: new Date(),
  }

  function watchOf(readState: () => Promise<typeof decided | undefined>, stopping = new AbortController().signal) {
    const { clock, log } = shop.service
    return new DecisionWatch({ clock, logger: log.logger, stopping, readState })
  }

  test('a decision whose nudge never came is found by looking', async () => {
    let isDecided = false
    const watch = watchOf(async () => (isDecided ? decided : undefined))
    const waiting = watch.decision('u', order, 30_000, new AbortController().signal)
    isDecided = true
    await eventually(() => shop.service.clock.sleeping > 0)
    shop.service.clock.advance(250)
    expect((await waiting).order.status).toBe('confirmed')
  })

  test('a decision of this replica is answered as it was told, without a look', async () => {
    const reads = { begun: 0 }
    const watch = watchOf(async () => {
      reads.begun += 1
      return undefined
    })
    const waiting = watch.decision('u', order, 30_000, new AbortController().signal)
    await eventually(() => reads.begun === 1)
    watch.tell({ ...decided, order_id: uuidv7() })
    watch.tell(decided)
    expect(await waiting).toMatchObject({ order: { status: 'confirmed' }, version: 2 })
    expect(reads.begun).toBe(1)
  })

  test('of two changes that are told at once, the last is told to whoever watches', async () => {
    const watch = watchOf(async () => undefined)
    const client = new AbortController()
    const events = watch.events({ userId: 'u', sessionId: 's' }, order, client.signal)
    expect(await events.next()).toMatchObject({ value: { id: '1' } })
    const told = events.next()
    await eventually(() => shop.service.clock.sleeping > 0)
    watch.tell(decided)
    watch.tell({ ...decided, status: 'cancelled', version: 3 })
    expect(await told).toMatchObject({ value: { id: '3', data: { status: 'cancelled' } } })
    expect(await events.next()).toMatchObject({ done: true })
  })

  test('beyond 1,000 waiters an order is answered pending at once, and a stream ends after five seconds', async () => {
    const stop = new AbortController()
    const watch = watchOf(async () => undefined, stop.signal)
    const forever = new AbortController().signal
    const waiting = Array.from({ length: WATCHERS_MAX }, (_, n) => watch.decision(`u${n % 50}`, order, 30_000, forever))
    expect((await watch.decision('u', order, 30_000, forever)).order.status).toBe('pending')
    const events = watch.events({ userId: 'u', sessionId: 's' }, order, forever)
    expect(await events.next()).toMatchObject({ value: { id: '1' } })
    let isOver = false
    const end = events.next().then(({ done }) => (isOver = done === true))
    await setImmediate()
    expect(isOver).toBe(false)
    shop.service.clock.advance(5_000)
    expect(await end).toBe(true)
    stop.abort()
    expect(new Set((await Promise.all(waiting)).map((answer) => answer.order.status))).toEqual(new Set(['pending']))
  })

  test('one user who waits many times keeps nobody else from waiting', async () => {
    const stop = new AbortController()
    const watch = watchOf(async () => undefined, stop.signal)
    const forever = new AbortController().signal
    const wait = (userId: string) => watch.decision(userId, order, 30_000, forever)
    const waiting = Array.from({ length: WATCHERS_OF_A_USER_MAX }, () => wait('greedy'))
    expect((await wait('greedy')).order.status).toBe('pending')
    let isAnswered = false
    const other = wait('u').then(() => (isAnswered = true))
    await eventually(() => shop.service.clock.sleeping > WATCHERS_OF_A_USER_MAX)
    expect(isAnswered).toBe(false)
    stop.abort()
    await Promise.all([...waiting, other])
  })

  test('an order is answered as placed when its state cannot be read', async () => {
    const watch = watchOf(async () => {
      throw new Error('The database is away')
    })
    const client = new AbortController()
    const waiting = watch.decision('u', order, 30_000, client.signal)
    await eventually(() => shop.service.log.text().includes('the states of orders could not be read'))
    client.abort()
    expect((await waiting).order).toEqual(order.order)
  })
})

interface Told {
  readonly event: string | undefined
  readonly id: string | undefined
  readonly order: Order
}

/** Reads a stream of server-sent events as a browser does, over the network. */
async function* readEvents(userId: string, id: string, sessionId = uuidv7()): AsyncGenerator<Told> {
  const headers = signedIn(ordersRoutes.watchOrder, { userId, sessionId, now: shop.service.clock.now() })
  const response = await fetch(`${shop.service.url}/order/${id}/events`, { headers })
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString()
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = new Map(
        block.split('\n').map((line) => [line.split(':', 1)[0], line.slice(line.indexOf(':') + 2)]),
      )
      if (fields.has('data')) {
        yield { event: fields.get('event'), id: fields.get('id'), order: JSON.parse(fields.get('data') ?? '') as Order }
      }
    }
  }
}

describe('server-sent events', () => {
  test('SSE tells the decision, and ends when the state is final', async () => {
    const userId = uuidv7()
    const { body } = await place(userId, 'wait=0')
    const events = readEvents(userId, body.id)
    expect((await events.next()).value).toEqual({ event: 'order', id: '1', order: body })
    await shop.products.reserve(body)
    expect((await events.next()).value).toMatchObject({ id: '2', order: { status: 'confirmed' } })
    await shop.call(ordersRoutes.cancelOrder, { userId, params: { id: body.id } })
    expect((await events.next()).value).toMatchObject({ id: '3', order: { status: 'cancelled' } })
    expect((await events.next()).done).toBe(true)
  })

  test('a decision made by another replica is told too', async () => {
    const userId = uuidv7()
    const { body } = await place(userId, 'wait=0')
    const events = readEvents(userId, body.id)
    await events.next()
    await shop.query(`update orders set status = 'confirmed', version = 2, decided_at = now() where order_id = $1`, [
      body.id,
    ])
    const next = events.next()
    await eventually(() => shop.service.clock.sleeping > 2)
    shop.service.clock.advance(250)
    expect((await next).value).toMatchObject({ id: '2', order: { status: 'confirmed' } })
    await events.return(undefined)
  })

  test('a stream of an order that is final ends at once', async () => {
    const userId = uuidv7()
    const { body } = await place(userId, 'wait=0')
    await shop.call(ordersRoutes.cancelOrder, { userId, params: { id: body.id } })
    const told = await Array.fromAsync(readEvents(userId, body.id))
    expect(told.map(({ order }) => order.status)).toEqual(['cancelled'])
  })

  test('a stream ends after 60 seconds', async () => {
    const userId = uuidv7()
    const { body } = await place(userId, 'wait=0')
    const events = readEvents(userId, body.id)
    await events.next()
    shop.service.clock.advance(60_000)
    expect((await events.next()).done).toBe(true)
  })

  test('a stream ends when its session is revoked, and with all sessions of its user', async () => {
    const userId = uuidv7()
    const { body } = await place(userId, 'wait=0')
    const revoked = uuidv7()
    const streams = [readEvents(userId, body.id, revoked), readEvents(userId, body.id)] as const
    for (const events of streams) await events.next()
    const ends = streams.map((events) => events.next())
    await sayRevoked(shop, uuidv7(), null)
    await sayRevoked(shop, userId, revoked)
    expect((await ends[0])?.done).toBe(true)
    await shop.products.reserve(body)
    expect((await ends[1])?.value).toMatchObject({ order: { status: 'confirmed' } })
    const end = streams[1].next()
    await sayRevoked(shop, userId, null)
    expect((await end).done).toBe(true)
  })

  test('the stream of another user’s order is the same 404 as one of no order', async () => {
    const { body } = await place(uuidv7(), 'wait=0')
    for (const id of [body.id, uuidv7()]) {
      const answer = await shop.call(ordersRoutes.watchOrder, { userId: uuidv7(), params: { id } })
      expect([answer.status, answer.problem]).toEqual([404, 'not-found'])
    }
  })

  test('streams and waiting requests are answered when the service stops', async () => {
    const userId = uuidv7()
    const { body } = await place(userId, 'wait=0')
    const events = readEvents(userId, body.id)
    await events.next()
    const waiting = place(userId, 'wait=30')
    await eventually(async () => (await newestOrderOf(userId)).id !== body.id)
    await shop.service.restart()
    expect((await events.next()).done).toBe(true)
    const answer = await waiting
    expect([answer.status, answer.body.status]).toEqual([201, 'pending'])
  })
})
