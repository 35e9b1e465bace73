import { eventually } from '@saas/testing'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { brokenPromises, Ledger } from './checkers/index.ts'
import { newDice } from './stage/dice.ts'
import { drained, evidenceOf } from './stage/evidence.ts'
import { impatience } from './stage/mutation.ts'
import { direct, Shopper } from './stage/shopper.ts'
import { isFull, sized } from './stage/size.ts'
import { Stack } from './stage/stack.ts'

const TIMEOUT_MS = sized(60_000, 900_000)
const DRAINED_WITHIN_MS = 30_000
/** `pnpm chaos` kills at all moments of all operations; `pnpm test` does at one of each of so many, others each time. */
const OPERATIONS_SMALL = 2
const dice = newDice()

type Service = 'orders' | 'products'

let stack: Stack
let productId: string
const ledger = new Ledger()

const fileOf = (service: string): string => join(stack.directory, `crash-at-${service}`)
const logOf = (service: string): string => join(stack.directory, `moments-${service}`)

beforeAll(async () => {
  stack = await Stack.start({
    services: ['orders', 'products'],
    mutations: impatience,
    preloads: [join(import.meta.dirname, 'stage/crash.ts')],
    environment: (service, directory) => ({
      CRASH_FILE: join(directory, `crash-at-${service}`),
      CRASH_LOG: join(directory, `moments-${service}`),
    }),
  })
  const managerId = randomUUID()
  productId = await new Shopper(managerId, direct(stack, managerId, ['manager']), ledger).sell(5_000, 490)
  await eventually(async () => (await stack.databases.orders?.query('select 1 from product_copy'))?.length === 1)
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
})

function somebody(): Shopper {
  const userId = randomUUID()
  return new Shopper(userId, direct(stack, userId), ledger)
}

async function statusOf(orderId: string): Promise<string> {
  const rows = await stack.databases.orders?.query<{ status: string }>(
    'select status from orders where order_id = $1',
    [orderId],
  )
  return rows?.[0]?.status ?? 'missing'
}

async function placed(quantity: number): Promise<{ shopper: Shopper; orderId: string }> {
  const shopper = somebody()
  const order = await shopper.place([{ productId, quantity }])
  if (order === undefined) throw new Error('The order was refused')
  return { shopper, orderId: order.id }
}

/** Resolves when the order has this state, however long the dead service takes to come back. */
async function becomes(orderId: string, status: string): Promise<void> {
  await eventually(async () => (await statusOf(orderId)) === status, { timeoutMs: DRAINED_WITHIN_MS })
}

interface Operation {
  readonly name: string
  readonly victim: Service
  /** Brings about what is to be interrupted, and answers how to begin it. */
  readonly prepare: () => Promise<() => Promise<void>>
}

const placing = async (): Promise<() => Promise<void>> => {
  await Promise.resolve()
  return async () => {
    const { orderId } = await placed(1)
    await becomes(orderId, 'confirmed')
  }
}
const refusing = async (): Promise<() => Promise<void>> => {
  await Promise.resolve()
  return async () => {
    const { orderId } = await placed(10_000)
    await becomes(orderId, 'rejected')
  }
}
const cancelling = async (): Promise<() => Promise<void>> => {
  const { shopper, orderId } = await placed(2)
  await becomes(orderId, 'confirmed')
  await drained(stack)
  return async () => {
    await shopper.cancel(orderId)
    await becomes(orderId, 'cancelled')
  }
}
/** The order is decided by its deadline while products is away, and products hears of both when it is back. */
const expiring = async (): Promise<() => Promise<void>> => {
  await stack.kill('products')
  const { orderId } = await placed(3)
  return async () => {
    await stack.databases.orders?.query(`update orders set deadline_at = now() where order_id = $1`, [orderId])
    await becomes(orderId, 'rejected')
    if (stack.child('products').pid === undefined) await stack.restart('products')
  }
}

const operations: readonly Operation[] = [
  { name: 'placing and deciding', victim: 'orders', prepare: placing },
  { name: 'reserving', victim: 'products', prepare: placing },
  { name: 'deciding a refusal', victim: 'orders', prepare: refusing },
  { name: 'refusing', victim: 'products', prepare: refusing },
  { name: 'cancelling', victim: 'orders', prepare: cancelling },
  { name: 'releasing', victim: 'products', prepare: cancelling },
  { name: 'expiring', victim: 'orders', prepare: expiring },
  { name: 'releasing what expired', victim: 'products', prepare: expiring },
]

/** The names of the moments at which the service waits during the operation. */
async function momentsOf({ victim, prepare }: Operation): Promise<string[]> {
  const begin = await prepare()
  rmSync(logOf(victim), { force: true })
  writeFileSync(fileOf(victim), 'record')
  await begin()
  await drained(stack, DRAINED_WITHIN_MS)
  rmSync(fileOf(victim), { force: true })
  return [...new Set(readFileSync(logOf(victim), 'utf8').split('\n').filter(Boolean))]
}

/** Kills the service at this moment of the operation, once; false when the moment did not come. */
async function killedAt(moment: string, { victim, prepare }: Operation): Promise<boolean> {
  const begin = await prepare()
  const child = stack.child(victim)
  writeFileSync(fileOf(victim), moment)
  const finished = begin().then(() => drained(stack, DRAINED_WITHIN_MS))
  const died = eventually(() => !existsSync(fileOf(victim)), { timeoutMs: DRAINED_WITHIN_MS }).then(
    () => true,
    () => false,
  )
  const isDead = await Promise.race([died, finished.then(() => !existsSync(fileOf(victim)))])
  rmSync(fileOf(victim), { force: true })
  if (isDead) {
    await child.ended()
    await stack.restart(victim)
  }
  await finished
  return isDead
}

test.for(isFull ? operations : dice.shuffled(operations).slice(0, OPERATIONS_SMALL))(
  '$name: $victim is killed at every moment at which it waits, and every promise holds',
  { timeout: TIMEOUT_MS },
  async (operation, { annotate }) => {
    const moments = await momentsOf(operation)
    expect(moments.length).toBeGreaterThan(3)
    let kills = 0
    let tried = 0
    // What waits for what depends on who is faster: a moment that came once need not come again.
    for (const moment of isFull ? moments : dice.shuffled(moments)) {
      tried += 1
      if (await killedAt(moment, operation)) kills += 1
      expect(await brokenPromises(await evidenceOf(stack, ledger)), moment).toBe('')
      if (!isFull && kills > 0) break
    }
    expect(kills).toBeGreaterThan(0)
    await annotate(`${kills} kills at ${tried} of ${moments.length} moments`)
  },
)
