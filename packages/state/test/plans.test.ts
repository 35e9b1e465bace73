import { sql } from '@saas/state'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Plans } from '../src/plans.ts'
import { connectState, testBus, type TestBus } from './fixtures.ts'

const ACCOUNTS = 200_000

let bus: TestBus
beforeAll(async () => {
  bus = await testBus()
})
afterAll(async () => {
  await bus[Symbol.asyncDispose]()
})

const touch = sql(
  'test.touch_accounts',
  `update account set balance = balance + 0
   from jsonb_to_recordset($1::jsonb) as touched(id uuid)
   where account.id = touched.id`,
)
/** The plan that this connection keeps for the statement above. */
const explainTouch = sql<{ 'QUERY PLAN': string }>(
  'test.explain_touch',
  `explain (costs off) execute "test.touch_accounts"('[]')`,
)

test('a plan made for an empty table is not kept once the table has grown, analysed or not', async () => {
  await using accounts = await connectState('products', bus)
  const { database } = accounts.state
  const planAfter = async (runs: number): Promise<string> => {
    for (let run = 0; run < runs; run += 1) await database.write(touch, ['[]'])
    return (await database.write(explainTouch)).map((row) => row['QUERY PLAN']).join('\n')
  }
  await accounts.database.query('alter table account set (autovacuum_enabled = false)')
  expect(await planAfter(10)).toContain('Seq Scan on account')
  await accounts.database.query('insert into account select gen_random_uuid(), 0 from generate_series(1, $1::int)', [
    ACCOUNTS,
  ])
  const plan = await planAfter(30)
  expect(plan).toContain('account_pkey')
  expect(plan).not.toContain('Seq Scan')
})

test('a connection forgets its plans ever more seldom', () => {
  const plans = new Plans()
  const forgotten = Array.from({ length: 300_000 }, (_, run) => (plans.areOld() ? run + 1 : 0)).filter(Boolean)
  expect(forgotten.slice(0, 4)).toEqual([16, 32, 64, 128])
  expect(forgotten.slice(-2)).toEqual([196_608, 262_144])
})
