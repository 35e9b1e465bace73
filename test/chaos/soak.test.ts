import { eventually } from '@saas/testing'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { brokenPromises, Ledger, type Queryable } from './checkers/index.ts'
import { newDice } from './stage/dice.ts'
import { drained, evidenceOf } from './stage/evidence.ts'
import { figureOf, type Sample } from './stage/figure.ts'
import { shopUntil } from './stage/load.ts'
import { introduce } from './stage/recipients.ts'
import { direct, Shopper } from './stage/shopper.ts'
import { shortMemory } from './stage/mutation.ts'
import { isFull } from './stage/size.ts'
import { Stack } from './stage/stack.ts'

const LENGTH_MS = Number(process.env['SOAK_SECONDS'] ?? 600) * 1_000
const SAMPLE_MS = 15_000
const SHOPPERS = 8
/** A table that is pruned holds at the end at most so many times what it held when pruning had begun to work. */
const GROWTH_MAX = 1.5

async function sizesOf(database: Queryable | undefined, service: string): Promise<Sample[]> {
  const tables = await database?.query<{ name: string; bytes: string }>(
    `select tablename as name, pg_total_relation_size(quote_ident(tablename)::regclass) as bytes
     from pg_tables where schemaname = 'public' and tablename in ('outbox', 'inbox', 'idempotency', 'orders', 'mail')`,
  )
  const samples = (tables ?? []).map(async ({ name, bytes }) => {
    const [row] = (await database?.query<{ rows: number }>(`select count(*)::int as rows from ${name}`)) ?? []
    return { table: `${service}.${name}`, rows: row?.rows ?? 0, bytes: Number(bytes) }
  })
  return await Promise.all(samples)
}

test.runIf(isFull)(
  'tables that are pruned stay flat under load',
  { timeout: LENGTH_MS + 300_000 },
  async ({ annotate }) => {
    await using stack = await Stack.start({ services: ['orders', 'products', 'notifications'], mutations: shortMemory })
    const [dice, ledger, stopped] = [newDice(), new Ledger(), new AbortController()]
    const shopper = (roles: ('customer' | 'manager')[] = ['customer']): Shopper => {
      const userId = randomUUID()
      return new Shopper(userId, direct(stack, userId, roles), ledger)
    }
    const [manager, shoppers] = [shopper(['manager']), Array.from({ length: SHOPPERS }, () => shopper())]
    await introduce(
      stack.databases.notifications,
      shoppers.map(({ userId }) => userId),
    )
    const products = [await manager.sell(1_000_000, 490), await manager.sell(1_000_000, 120)]
    await eventually(async () => (await stack.databases.orders?.query('select 1 from product_copy'))?.length === 2)

    const shopping = shopUntil(stopped.signal, { manager, shoppers, cartShoppers: [] }, products, dice)
    const history: Sample[][] = []
    for (const endsAt = performance.now() + LENGTH_MS; performance.now() < endsAt;) {
      await delay(SAMPLE_MS)
      const found = Object.entries(stack.databases).map(([service, database]) => sizesOf(database, service))
      history.push((await Promise.all(found)).flat())
    }
    stopped.abort()
    const errands = await shopping
    await drained(stack)

    const figure = figureOf(history, SAMPLE_MS, `${errands} errands in ${LENGTH_MS / 1_000} s`)
    process.stdout.write(`\n${figure}\n`)
    writeFileSync(join(stack.directory, 'soak.txt'), figure)
    await annotate(figure)
    for (const table of ['orders.outbox', 'products.outbox', 'orders.inbox', 'products.inbox', 'notifications.inbox']) {
      const rows = history.map((samples) => samples.find((sample) => sample.table === table)?.rows ?? 0)
      const [settled, end] = [rows[Math.floor(rows.length / 2)] ?? 0, rows.at(-1) ?? 0]
      expect(end, table).toBeLessThan(settled * GROWTH_MAX)
    }
    // What was pruned can no longer be compared with what it caused.
    const kept = ['D1', 'D5', 'D8', 'O1', 'O2', 'O3', 'O5', 'S1', 'S2', 'S3', 'S4', 'N2']
    expect(await brokenPromises(await evidenceOf(stack, ledger), kept)).toBe('')
  },
)
