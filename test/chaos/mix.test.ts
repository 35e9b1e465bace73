import { eventually } from '@saas/testing'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { brokenPromises, Ledger } from './checkers/index.ts'
import { newDice } from './stage/dice.ts'
import { drained, evidenceOf } from './stage/evidence.ts'
import { faults } from './stage/faults.ts'
import { shopUntil, type People } from './stage/load.ts'
import { impatience } from './stage/mutation.ts'
import { introduce } from './stage/recipients.ts'
import { direct, Shopper } from './stage/shopper.ts'
import { sized } from './stage/size.ts'
import { Stack } from './stage/stack.ts'

const ROUNDS = sized(1, 12)
/** Of the list, a round strikes with so many. */
const FAULTS_A_ROUND = sized(8, 100)
const FAULT_MS_MAX = sized(200, 4_000)
const DRAINED_WITHIN_MS = sized(45_000, 120_000)
const TIMEOUT_MS = sized(120_000, 3_600_000)
const STOCK = sized(400, 5_000)

let stack: Stack
let people: People
let products: string[]
const ledger = new Ledger()

beforeAll(async () => {
  stack = await Stack.start({
    services: ['orders', 'products', 'notifications'],
    replicas: { orders: sized(1, 2), products: sized(1, 2) },
    isWired: true,
    mutations: impatience,
    environment: () => ({ CONN_TIMEOUT: '1' }),
  })
  const shopper = (): Shopper => {
    const userId = randomUUID()
    return new Shopper(userId, direct(stack, userId), ledger)
  }
  const managerId = randomUUID()
  people = {
    manager: new Shopper(managerId, direct(stack, managerId, ['manager']), ledger),
    shoppers: Array.from({ length: sized(4, 12) }, shopper),
    cartShoppers: Array.from({ length: sized(1, 4) }, shopper),
  }
  const userIds = [...people.shoppers, ...people.cartShoppers].map(({ userId }) => userId)
  await introduce(stack.databases.notifications, userIds)
  products = await Promise.all([1, 2, 3].map(() => people.manager.sell(STOCK, 490)))
  await eventually(async () => (await stack.databases.orders?.query('select 1 from product_copy'))?.length === 3)
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
})

/** Faults of parts that this stack does not have. */
const elsewhere = new Set(['auth is down', 'the edge is killed', 'the object store is down'])

test(
  'every promise holds after every fault of the list, in any order and under load',
  { timeout: TIMEOUT_MS },
  async () => {
    const dice = newDice()
    const names = Object.keys(faults).filter((name) => !elsewhere.has(name))
    const stopped = new AbortController()
    const shopping = shopUntil(stopped.signal, people, products, dice)
    const told: string[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const name of dice.shuffled(names).slice(0, FAULTS_A_ROUND)) {
        told.push(name)
        await faults[name]?.({ stack, dice, ledger, lengthMsMax: FAULT_MS_MAX })
        // Some work is done between two faults, or the next one would meet nothing.
        const before = ledger.placed.length
        await eventually(() => ledger.placed.length > before + 2)
      }
    }
    stopped.abort()
    const done = await shopping

    // What failed for the time being waits for its turn: here that comes at once.
    const hurry = `update mail set due_at = now() where status = 'due' and lease is null`
    const healedAt = performance.now()
    await eventually(
      async () => {
        for (const database of Object.values(stack.databases)) {
          expect(await database.query('select 1 from outbox where published_at is null limit 1')).toEqual([])
        }
      },
      { timeoutMs: DRAINED_WITHIN_MS },
    )
    ledger.backlogMs.push(performance.now() - healedAt)
    await stack.databases.notifications?.query(hurry)
    await drained(stack, DRAINED_WITHIN_MS)
    const evidence = await evidenceOf(stack, ledger)
    const about = `CHAOS_SEED=${dice.seed}, ${done} errands, faults: ${told.join(', ')}`
    expect(await brokenPromises(evidence), about).toBe('')
    expect(ledger.placed.filter(({ status }) => status === 201).length, about).toBeGreaterThan(10)
  },
)
