import { eventually } from '@saas/testing'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { brokenPromises, Ledger } from './checkers/index.ts'
import { Customer } from './stage/customer.ts'
import { newDice } from './stage/dice.ts'
import { drained, evidenceOf, lastWords, outboxesDrained } from './stage/evidence.ts'
import { faults } from './stage/faults.ts'
import { shopUntil, type People } from './stage/load.ts'
import { impatience } from './stage/mutation.ts'
import { introduce } from './stage/recipients.ts'
import { direct, Shopper, throughEdge } from './stage/shopper.ts'
import { isFull, sized } from './stage/size.ts'
import type { StatefulService } from './stage/service-child.ts'
import { Stack } from './stage/stack.ts'

const ROUNDS = sized(1, Number(process.env['CHAOS_ROUNDS'] ?? 12))
/** Of the list, a round strikes with so many. */
const FAULTS_A_ROUND = sized(8, 100)
const FAULT_MS_MAX = sized(200, 4_000)
const DRAINED_WITHIN_MS = sized(45_000, 120_000)
const TIMEOUT_MS = sized(120_000, 3_600_000)
const STOCK = sized(400, 5_000)
/** One alone would change a cart 18,000 times in ten minutes, and a new stream has to be told all of them before the next change. */
const CROWD = sized(1, 100)

let stack: Stack
let people: People
let products: string[]
const ledger = new Ledger()

beforeAll(async () => {
  stack = await Stack.start({
    services: sized<StatefulService[]>(
      ['orders', 'products', 'notifications'],
      ['auth', 'orders', 'products', 'notifications'],
    ),
    withEdge: isFull,
    replicas: { orders: sized(1, 2), products: sized(1, 2) },
    isWired: true,
    mutations: impatience,
    // Short, so that what is held is noticed soon; on a busy machine a connection takes a second.
    environment: () => ({ CONN_TIMEOUT: sized('2', '3') }),
  })
  const shopper = (): Shopper => {
    const userId = randomUUID()
    return new Shopper(userId, direct(stack, userId), ledger)
  }
  // In the full size some come through the edge, with sessions that must outlive everything.
  const email = (index: number): string => `visitor.${index}@example.com`
  const visitors = Array.from({ length: sized(0, 2) }, (_, index) => Customer.register(stack, email(index), ledger))
  const throughTheEdge = (await Promise.all(visitors)).map(
    (visitor) => new Shopper(visitor.userId, throughEdge(visitor), ledger),
  )
  const managerId = randomUUID()
  people = {
    manager: new Shopper(managerId, direct(stack, managerId, ['manager']), ledger),
    shoppers: [...throughTheEdge, ...Array.from({ length: sized(4, 6) }, shopper)],
    cartShoppers: Array.from({ length: sized(1, 2) }, () => Array.from({ length: CROWD }, shopper)),
  }
  const userIds = [...people.shoppers, ...people.cartShoppers.flat()]
    .filter((person) => !throughTheEdge.includes(person))
    .map(({ userId }) => userId)
  await introduce(stack.databases.notifications, userIds)
  products = await Promise.all([1, 2, 3].map(() => people.manager.sell(STOCK, 490)))
  await eventually(async () => (await stack.databases.orders?.query('select 1 from product_copy'))?.length === 3)
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
})

/** Faults of parts that the small stack does not have. */
const elsewhere = new Set(isFull ? [] : ['auth is down', 'the edge is killed'])

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
        try {
          await faults[name]?.({ stack, dice, ledger, lengthMsMax: FAULT_MS_MAX })
          // Some work is done between two faults, or the next one would meet nothing.
          const before = ledger.placed.length
          await eventually(() => ledger.placed.length > before + 2, { timeoutMs: DRAINED_WITHIN_MS })
        } catch (error) {
          const words = `${lastWords(stack, 'orders')}\n${lastWords(stack, 'products')}`
          throw new Error(`CHAOS_SEED=${dice.seed}, after ${told.join(', ')}\n${words}`, { cause: error })
        }
      }
    }
    stopped.abort()
    const done = await shopping

    // What failed for the time being waits for its turn: here that comes at once.
    const hurry = `update mail set due_at = now() where status = 'due' and lease is null`
    const about = `CHAOS_SEED=${dice.seed}, ${done} errands, faults: ${told.join(', ')}`
    await outboxesDrained(stack, ledger, DRAINED_WITHIN_MS).catch((error: unknown) => {
      throw new Error(about, { cause: error })
    })
    await stack.databases.notifications?.query(hurry)
    await drained(stack, DRAINED_WITHIN_MS).catch((error: unknown) => {
      throw new Error(`${about} ${lastWords(stack, 'notifications')}`, { cause: error })
    })
    const evidence = await evidenceOf(stack, ledger)
    expect(await brokenPromises(evidence), about).toBe('')
    expect(ledger.placed.filter(({ status }) => status === 201).length, about).toBeGreaterThan(10)
  },
)
