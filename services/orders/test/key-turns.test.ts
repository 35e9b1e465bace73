import { ordersRoutes, ProblemError, problems, type Problem } from '@saas/contracts'
import { Database, DatabaseUnavailable, sql, type Statement } from '@saas/state'
import { eventually, signedIn } from '@saas/testing'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Orders } from '../src/orders.ts'
import type { AskedLine } from '../src/place-order.ts'
import { startTestOrders, type TestOrders } from './fixtures.ts'

const AT_ONCE = 40

let shop: TestOrders
let tea: string

beforeAll(async () => {
  shop = await startTestOrders()
  tea = await shop.products.sell({ amount: 490 })
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

/** Counts the statements that are sent, and does with each write what a test says. */
class WatchedDatabase extends Database {
  readonly sent: string[] = []
  /** Runs between the commit of a write and its answer. */
  afterWrite: () => Promise<void> = async () => undefined

  override async read<Row>(statement: Statement<Row>, values?: readonly unknown[]): Promise<Row[]> {
    this.sent.push(statement.name)
    return await super.read(statement, values)
  }

  override async write<Row>(statement: Statement<Row>, values?: readonly unknown[]): Promise<Row[]> {
    this.sent.push(statement.name)
    const rows = await super.write(statement, values)
    await this.afterWrite()
    return rows
  }
}

/** A process of the service with its own connections, whose statements can be counted. */
function startReplica() {
  const { clock, log, database: store } = shop.service
  const database = new WatchedDatabase({ url: store.url, service: 'orders', timeoutMs: 5_000, logger: log.logger })
  const orders = new Orders({ database, bus: { nudge: () => undefined }, clock })
  return {
    database,
    /** What `POST /order` came to: an order, made or replayed, or a problem. */
    place: async (userId: string, lines: readonly AskedLine[] | undefined, key = 'same') => {
      try {
        const { order, replayed } = await orders.place({ userId, key, lines, traceParent: '' })
        return { id: order.id, replayed }
      } catch (error) {
        if (error instanceof ProblemError) return { refused: error.problem }
        throw error
      }
    },
    [Symbol.asyncDispose]: async () => {
      await database[Symbol.asyncDispose]()
    },
  }
}

/** Statements of this database that wait for a lock. */
const waitingStatements = sql(
  'test.waiting_statements',
  `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
)

const some = (quantity: number): readonly AskedLine[] => [{ productId: tea, quantity }]

async function ordersOf(userId: string): Promise<string[]> {
  const rows = await shop.query<{ order_id: string }>('select order_id from orders where user_id = $1', [userId])
  return rows.map(({ order_id }) => order_id)
}

async function fillCart(userId: string): Promise<void> {
  await shop.call(ordersRoutes.putCartItem, { userId, params: { productId: tea }, body: { quantity: 1 } })
}

function count<T>(all: readonly T[], fits: (one: T) => boolean): number {
  return all.filter(fits).length
}

const isRefused = (problem: Problem) => (answer: object) => 'refused' in answer && answer.refused === problem

test('a key sent many times at once makes one order in two statements, and all others are replays of it', async () => {
  await using replica = startReplica()
  for (const lines of [some(1), undefined]) {
    const userId = uuidv7()
    await fillCart(userId)
    replica.database.sent.length = 0
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => replica.place(userId, lines)))
    const [id] = await ordersOf(userId)
    expect(answers.filter(({ replayed }) => replayed === false)).toEqual([{ id, replayed: false }])
    expect(answers.filter(({ replayed }) => replayed === true)).toEqual(
      Array.from({ length: AT_ONCE - 1 }, () => ({ id, replayed: true })),
    )
    expect(replica.database.sent).toEqual(['orders.place', 'orders.find_placed'])
  }
})

test('a key sent many times at once with two bodies is one order for the one and refused for the other', async () => {
  await using replica = startReplica()
  const userId = uuidv7()
  const bodies = Array.from({ length: AT_ONCE }, (_, index) => some(1 + (index % 2)))
  const answers = await Promise.all(bodies.map((lines) => replica.place(userId, lines)))
  const [id, ...others] = await ordersOf(userId)
  expect(others).toEqual([])
  expect(count(answers, isRefused(problems.idempotencyKeyReused))).toBe(AT_ONCE / 2)
  expect(count(answers, (answer) => answer.id === id)).toBe(AT_ONCE / 2)
  expect(replica.database.sent).toEqual(['orders.place', 'orders.find_placed'])
})

test('a key that has an order refuses many other bodies at once in three statements', async () => {
  await using replica = startReplica()
  const userId = uuidv7()
  await replica.place(userId, some(1))
  replica.database.sent.length = 0
  const answers = await Promise.all(
    Array.from({ length: AT_ONCE }, (_, index) => replica.place(userId, some(2 + index))),
  )
  expect(count(answers, isRefused(problems.idempotencyKeyReused))).toBe(AT_ONCE)
  expect(replica.database.sent).toEqual(['orders.place', 'orders.find_placed', 'orders.find_placed'])
})

test('a refusal answers all that came before it was asked for, in two statements', async () => {
  await using replica = startReplica()
  const userId = uuidv7()
  const refused = await Promise.all(Array.from({ length: AT_ONCE }, () => replica.place(userId, undefined)))
  expect(count(refused, isRefused(problems.cartEmpty))).toBe(AT_ONCE)
  expect(count(replica.database.sent, (name) => name === 'orders.place')).toBe(2)
  expect(await ordersOf(userId)).toEqual([])
})

test('what was refused to one body is not refused to another', async () => {
  await using replica = startReplica()
  const userId = uuidv7()
  const [missing, , good] = await Promise.all([
    replica.place(userId, [{ productId: uuidv7(), quantity: 1 }]),
    replica.place(userId, [{ productId: uuidv7(), quantity: 1 }]),
    replica.place(userId, some(1)),
  ])
  expect(missing).toEqual({ refused: problems.productNotForSale })
  expect([good]).toEqual([{ id: (await ordersOf(userId))[0], replayed: false }])
})

test('a call that filled the cart after the one before it was refused is not refused with it', async () => {
  await using replica = startReplica()
  const userId = uuidv7()
  const { promise: mayAnswer, resolve: letAnswer } = Promise.withResolvers<void>()
  const { promise: isWritten, resolve: wasWritten } = Promise.withResolvers<void>()
  replica.database.afterWrite = async () => {
    wasWritten()
    await mayAnswer
  }
  const first = replica.place(userId, undefined)
  await isWritten
  await fillCart(userId)
  const second = replica.place(userId, undefined)
  letAnswer()
  expect(await first).toEqual({ refused: problems.cartEmpty })
  expect(await second).toEqual({ id: (await ordersOf(userId))[0], replayed: false })
})

test('when nobody knows what became of the first call, those that waited get the one order', async () => {
  await using replica = startReplica()
  const userId = uuidv7()
  let lost = 0
  replica.database.afterWrite = async () => {
    // A batch is sent twice before its calls are told.
    lost += 1
    if (lost <= 2) throw new DatabaseUnavailable('The answer was lost after the commit')
  }
  const [first, ...others] = await Promise.all(Array.from({ length: AT_ONCE }, () => replica.place(userId, some(1))))
  const [id, ...doubles] = await ordersOf(userId)
  expect(doubles).toEqual([])
  expect(first).toEqual({ refused: problems.dependencyUnavailable })
  expect(others).toEqual(Array.from({ length: AT_ONCE - 1 }, () => ({ id, replayed: true })))
})

test('when Postgres stays away, all are told after two attempts, whatever they came with', async () => {
  await using replica = startReplica()
  const userId = uuidv7()
  replica.database.afterWrite = async () => {
    throw new DatabaseUnavailable('The answer was lost')
  }
  const answers = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => replica.place(userId, some(n + 1))))
  expect(count(answers, isRefused(problems.dependencyUnavailable))).toBe(AT_ONCE)
  expect(replica.database.sent).toHaveLength(4)
})

test('replicas that get one key at once make one order of it', async () => {
  await using one = startReplica()
  await using other = startReplica()
  const userId = uuidv7()
  const answers = await Promise.all(
    Array.from({ length: AT_ONCE }, (_, index) => (index % 2 === 0 ? one : other).place(userId, some(1))),
  )
  const [id, ...doubles] = await ordersOf(userId)
  expect(doubles).toEqual([])
  expect(count(answers, (answer) => answer.id === id)).toBe(AT_ONCE)
  expect(count(answers, ({ replayed }) => replayed === false)).toBe(1)
  expect(one.database.sent.length + other.database.sent.length).toBeLessThanOrEqual(8)
})

test('a client that goes away takes nothing from another that sent the same key', async () => {
  const userId = uuidv7()
  const send = async (signal: AbortSignal | null = null) =>
    await fetch(`${shop.service.url}/order`, {
      method: 'POST',
      headers: {
        ...signedIn(ordersRoutes.placeOrder, { userId, now: shop.service.clock.now() }),
        'content-type': 'application/json',
        'idempotency-key': 'same',
        prefer: 'wait=0',
      },
      body: JSON.stringify({ lines: some(1) }),
      signal,
    })
  const client = new AbortController()
  const second = await shop.database.transaction(async (tx) => {
    await tx.query(sql('test.stop_orders', 'lock table orders in exclusive mode'))
    const first = send(client.signal)
    await eventually(async () => (await tx.query(waitingStatements)).length === 1)
    client.abort()
    await expect(first).rejects.toThrow('aborted')
    return { answer: send() }
  })
  const { status } = await second.answer
  expect(status).toBe(201)
  expect(await ordersOf(userId)).toHaveLength(1)
})
