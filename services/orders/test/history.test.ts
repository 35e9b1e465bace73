import { ordersRoutes, type Order } from '@saas/contracts'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestOrders, type TestOrders } from './fixtures.ts'

let shop: TestOrders
let tea: string

beforeAll(async () => {
  shop = await startTestOrders()
  tea = await shop.products.sell({})
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

interface Page {
  readonly items: Order[]
  readonly next: string | null
}

async function place(userId: string): Promise<Order> {
  const body = { lines: [{ productId: tea, quantity: 1 }] }
  const headers = { prefer: 'wait=0', 'idempotency-key': uuidv7() }
  return (await shop.call<Order>(ordersRoutes.placeOrder, { userId, body, headers })).body
}

const list = async (userId: string, query: Record<string, string> = {}) =>
  await shop.call<Page>(ordersRoutes.listOrders, { userId, query })

async function readAll(userId: string, query: Record<string, string>): Promise<Order[]> {
  const all: Order[] = []
  for (let cursor: string | null = null; ;) {
    const { body }: { body: Page } = await list(userId, { ...query, ...(cursor === null ? {} : { cursor }) })
    all.push(...body.items)
    cursor = body.next
    if (cursor === null) return all
  }
}

test('the pages hold every order once, newest first, whatever their size', async () => {
  const userId = uuidv7()
  const placed: string[] = []
  for (let index = 0; index < 7; index += 1) placed.unshift((await place(userId)).id)
  for (const limit of ['1', '3', '7', '100']) {
    expect((await readAll(userId, { limit })).map(({ id }) => id)).toEqual(placed)
  }
})

test('an order placed while pages are read neither repeats nor hides another', async () => {
  const userId = uuidv7()
  const first = [await place(userId), await place(userId), await place(userId)]
  const page = await list(userId, { limit: '2' })
  await place(userId)
  const rest = await list(userId, { limit: '2', cursor: page.body.next ?? '' })
  expect([...page.body.items, ...rest.body.items].map(({ id }) => id)).toEqual(first.map(({ id }) => id).toReversed())
})

test('a status filters the list, page by page', async () => {
  const userId = uuidv7()
  const placed: Order[] = []
  for (let index = 0; index < 6; index += 1) placed.unshift(await place(userId))
  const cancelled = placed.filter((_, index) => index % 2 === 0).map(({ id }) => id)
  for (const id of cancelled) await shop.call(ordersRoutes.cancelOrder, { userId, params: { id } })
  const pending = placed.filter((_, index) => index % 2 === 1).map(({ id }) => id)
  for (const limit of ['1', '2', '3']) {
    expect((await readAll(userId, { status: 'pending', limit })).map(({ id }) => id)).toEqual(pending)
    expect((await readAll(userId, { status: 'cancelled', limit })).map(({ id }) => id)).toEqual(cancelled)
  }
  expect((await list(userId, { status: 'confirmed' })).body).toEqual({ items: [], next: null })
})

describe('another user’s order', () => {
  test('is the same 404 as one that is not there', async () => {
    const { id } = await place(uuidv7())
    const userId = uuidv7()
    for (const route of [ordersRoutes.getOrder, ordersRoutes.cancelOrder, ordersRoutes.watchOrder]) {
      const [theirs, nothing] = [
        await shop.call<object>(route, { userId, params: { id } }),
        await shop.call<object>(route, { userId, params: { id: uuidv7() } }),
      ]
      expect(theirs.status).toBe(404)
      expect({ ...theirs.body, instance: '' }).toEqual({ ...nothing.body, instance: '' })
    }
    expect((await list(userId)).body.items).toEqual([])
    const [row] = await shop.query<{ status: string }>('select status from orders where order_id = $1', [id])
    expect(row?.status).toBe('pending')
  })

  test('is not found by ids that share a statement with its owner’s', async () => {
    const owner = uuidv7()
    const { id } = await place(owner)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        shop.call<Order>(ordersRoutes.getOrder, { userId: index % 2 === 0 ? owner : uuidv7(), params: { id } }),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual(answers.map((_, index) => (index % 2 === 0 ? 200 : 404)))
  })
})

describe('those who may read all orders', () => {
  const manager = { userId: uuidv7(), roles: ['manager'] }
  const listAll = async (query: Record<string, string> = {}) =>
    (await shop.call<Page>(ordersRoutes.listAllOrders, { ...manager, query })).body
  const idsOf = ({ items }: Page) => items.map(({ id }) => id)

  test('list everybody’s, newest first, with whose they are, page by page', async () => {
    const customers = [uuidv7(), uuidv7(), uuidv7()]
    const placed: { id: string; customerId: string }[] = []
    for (const customerId of [...customers, ...customers])
      placed.unshift({ id: (await place(customerId)).id, customerId })
    const read: { id: string; customerId: string | undefined }[] = []
    for (let cursor: string | null = null; read.length < placed.length;) {
      const page: Page = await listAll({ limit: '4', ...(cursor === null ? {} : { cursor }) })
      read.push(...page.items.map(({ id, customerId }) => ({ id, customerId })))
      cursor = page.next
    }
    expect(read.slice(0, placed.length)).toEqual(placed)
  })

  test('narrow the list by customer, status and date, alone and together', async () => {
    const customer = uuidv7()
    shop.service.clock.advance(60_000)
    const start = shop.service.clock.now()
    const early = [await place(customer), await place(uuidv7())]
    await shop.call(ordersRoutes.cancelOrder, { userId: customer, params: { id: early[0]?.id ?? '' } })
    shop.service.clock.advance(60_000)
    const middle = shop.service.clock.now()
    const late = [await place(customer), await place(uuidv7())]
    shop.service.clock.advance(60_000)
    const end = shop.service.clock.now()
    await place(uuidv7())
    const [from, to] = [middle.toISOString(), end.toISOString()]
    const newest = (orders: readonly Order[]) => orders.map(({ id }) => id).toReversed()
    expect(idsOf(await listAll({ from, to }))).toEqual(newest(late))
    expect(idsOf(await listAll({ customer }))).toEqual([late[0]?.id, early[0]?.id])
    expect(idsOf(await listAll({ customer, to: from }))).toEqual([early[0]?.id])
    expect(idsOf(await listAll({ customer, from, status: 'pending' }))).toEqual([late[0]?.id])
    expect(idsOf(await listAll({ status: 'cancelled', from: start.toISOString(), to }))).toEqual([early[0]?.id])
    expect(idsOf(await listAll({ status: 'rejected', from, to }))).toEqual([])
  })

  test('read anybody’s order, but neither cancel nor watch it', async () => {
    const userId = uuidv7()
    const { id } = await place(userId)
    const theirs = await shop.call<Order>(ordersRoutes.getOrder, { ...manager, params: { id } })
    expect([theirs.status, theirs.body.id, theirs.body.customerId]).toEqual([200, id, userId])
    for (const route of [ordersRoutes.cancelOrder, ordersRoutes.watchOrder]) {
      expect((await shop.call(route, { ...manager, params: { id } })).status).toBe(404)
    }
    const nothing = await shop.call(ordersRoutes.getOrder, { ...manager, params: { id: uuidv7() } })
    expect([nothing.status, nothing.problem]).toEqual([404, 'not-found'])
    expect((await shop.call<Order>(ordersRoutes.getOrder, { userId, params: { id } })).body.customerId).toBeUndefined()
  })

  test('are not customers', async () => {
    const answer = await shop.call(ordersRoutes.listAllOrders, { userId: uuidv7(), roles: ['customer'] })
    expect([answer.status, answer.problem]).toEqual([403, 'forbidden'])
  })

  test.for<[Record<string, string>, string]>([
    [{ customer: 'x' }, '/query/customer'],
    [{ from: 'yesterday' }, '/query/from'],
    [{ from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' }, '/query/to'],
  ])('cannot ask for %j', async ([query, pointer], { expect }) => {
    const answer = await shop.call(ordersRoutes.listAllOrders, { ...manager, query })
    expect([answer.status, answer.errors?.[0]?.pointer]).toEqual([400, pointer])
  })

  test('cannot go on in a list with the cursor of another', async () => {
    const customer = uuidv7()
    await Promise.all([place(customer), place(customer)])
    const { next } = await listAll({ limit: '1', customer })
    const own = (await list(customer, { limit: '1' })).body.next
    for (const query of [{ cursor: next ?? '' }, { customer: uuidv7(), cursor: next ?? '' }, { cursor: own ?? '' }]) {
      const answer = await shop.call(ordersRoutes.listAllOrders, { ...manager, query })
      expect([answer.status, answer.errors?.[0]?.pointer]).toEqual([400, '/query/cursor'])
    }
  })
})

describe('bad input', () => {
  test('a cursor of another list, of another filter, or made up is refused', async () => {
    const userId = uuidv7()
    await Promise.all([place(userId), place(userId)])
    const cursor = (await list(userId, { limit: '1' })).body.next ?? ''
    const foreign = Buffer.from(JSON.stringify(['products', null, uuidv7()])).toString('base64url')
    for (const query of [
      { cursor, status: 'pending' },
      { cursor: foreign },
      { cursor: 'nonsense' },
      { cursor: 'bnVsbA' },
    ]) {
      const answer = await list(userId, query)
      expect([answer.status, answer.problem]).toEqual([400, 'invalid-request'])
      expect(answer.errors?.map(({ pointer }) => pointer)).toEqual(['/query/cursor'])
    }
  })

  test.for<Record<string, string>>([
    { limit: '0' },
    { limit: '101' },
    { limit: 'x' },
    { status: 'lost' },
    { page: '2' },
  ])('the query %j is refused', async (query, { expect }) => {
    const answer = await list(uuidv7(), query)
    expect([answer.status, answer.errors?.[0]?.pointer]).toEqual([400, `/query/${Object.keys(query)[0]}`])
  })

  test.for(['x', 'urn:uuid:01977c1e-6a00-7000-8000-000000000020'])('the id %s is refused', async (id, { expect }) => {
    const answer = await shop.call(ordersRoutes.getOrder, { userId: uuidv7(), params: { id } })
    expect([answer.status, answer.errors?.[0]?.pointer]).toEqual([400, '/params/id'])
  })

  test('a request without the internal token is refused', async () => {
    const answer = await shop.service.call(ordersRoutes.listOrders)
    expect(answer.status).toBe(403)
  })
})
