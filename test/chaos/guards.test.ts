import { eventually } from '@saas/testing'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Ledger, violationsOf } from './checkers/index.ts'
import { Dice } from './stage/dice.ts'
import { drained, evidenceOf } from './stage/evidence.ts'
import { allRepeated, faults } from './stage/faults.ts'
import { guards, type Guard, type Provocation } from './stage/guards.ts'
import { shopUntil } from './stage/load.ts'
import { introduce } from './stage/recipients.ts'
import { direct, Shopper } from './stage/shopper.ts'
import { isFull } from './stage/size.ts'
import { Stack } from './stage/stack.ts'

const LOAD_MS = 3_000
/** What is broken may never come to rest. */
const RESTED_WITHIN_MS = 5_000
const TIMEOUT_MS = 120_000

/**
 * Orders, carts, cancellations and repeated messages, and whatever else brings the missing guard to light. Resolves to what
 * mends it again and waits for those who are still shopping.
 */
async function provoke(stack: Stack, ledger: Ledger, { without, provocation }: Guard): Promise<() => Promise<unknown>> {
  const dice = new Dice(without.length)
  const shopper = (roles: ('customer' | 'manager')[] = ['customer']): Shopper => {
    const userId = randomUUID()
    return new Shopper(userId, direct(stack, userId, roles), ledger)
  }
  const people = {
    manager: shopper(['manager']),
    shoppers: [shopper(), shopper(), shopper()],
    cartShoppers: [[shopper()]],
  }
  const userIds = [...people.shoppers, ...people.cartShoppers.flat()].map(({ userId }) => userId)
  await introduce(stack.databases.notifications, userIds)
  const products = [await people.manager.sell(15, 490), await people.manager.sell(15, 120)]
  await eventually(async () => (await stack.databases.orders?.query('select 1 from product_copy'))?.length === 2)
  const stopped = new AbortController()
  const shopping = shopUntil(stopped.signal, people, products, dice)
  const strike = { stack, dice, ledger, lengthMsMax: 500 }
  const half = LOAD_MS / 2
  await delay(half)
  const mend = await provocations[provocation]({ strike, stack })
  await delay(half)
  // All of them: chance may leave out the one message that tells.
  await allRepeated(strike)
  stopped.abort()
  if (mend === undefined) await shopping
  return async () => {
    await mend?.()
    await shopping
  }
}

interface Situation {
  readonly strike: Parameters<NonNullable<(typeof faults)[string]>>[0]
  readonly stack: Stack
}

/** What has to last until the promise was looked at comes with what ends it. */
type Provoked = (() => Promise<void>) | undefined

const provocations: Readonly<Record<Provocation, (situation: Situation) => Promise<Provoked>>> = {
  nothing: () => Promise.resolve(undefined),
  'a message is poison': async ({ strike }) => {
    await faults['a message is poison']?.(strike)
    return undefined
  },
  'NATS is killed': async ({ strike }) => {
    await faults['NATS is killed']?.({ ...strike, lengthMsMax: 4_000 })
    return undefined
  },
  'the stream is deleted before products heard': async ({ stack }) => {
    await stack.kill('products')
    await delay(500)
    await stack.bus.deleteStream()
    await stack.restart('products')
    return undefined
  },
  'the deadline passes while products is away': async ({ stack }) => {
    await stack.kill('products')
    await delay(500)
    await stack.databases.orders?.query(
      `update orders set deadline_at = now() - interval '1 minute' where status = 'pending'`,
    )
    await delay(1_500)
    return async () => await stack.restart('products')
  },
}

test.runIf(isFull).for(guards)(
  '$promise turns red when $without is taken out of the code',
  { timeout: TIMEOUT_MS },
  async (guard) => {
    await using stack = await Stack.start({
      services: ['orders', 'products', 'notifications'],
      mutations: guard.mutations,
    })
    for (const statement of guard.statements ?? []) await stack.databases.products?.query(statement)
    const ledger = new Ledger()
    const end = await provoke(stack, ledger, guard)
    await drained(stack, RESTED_WITHIN_MS).catch(() => undefined)
    const broken = new Set((await violationsOf(await evidenceOf(stack, ledger))).map(({ promise }) => promise))
    await end()
    expect([...broken]).toContain(guard.promise)
  },
)
