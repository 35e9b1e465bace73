import { cloneDatabase } from '@saas/testing'
import { expect, test } from 'vitest'
import { selectDue } from '../src/carts.ts'
import { recordOutcomes } from '../src/mails.ts'

const DUE = 20_000
const CARTS = 20_000

test('what became of a batch of mails is written by their ids, however many others are due', async () => {
  await using database = await cloneDatabase('notifications')
  await database.query(
    `insert into mail (id, natural_key, kind, user_id, data, has_secret, due_at, created_at, gives_up_at)
     select uuidv7(), n::text, 'announcement', uuidv7(), '{}', false, now(), now(), now()
     from generate_series(1, $1::integer) as n`,
    [DUE],
  )
  for (const analysed of [false, true]) {
    if (analysed) await database.query('analyze mail')
    const rows = await database.query<{ 'QUERY PLAN': string }>(
      `explain (costs off, generic_plan) ${recordOutcomes.text}`,
    )
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(plan).toContain('mail_pkey')
    expect(plan).not.toMatch(/mail_due|Seq Scan on mail/)
  }
})

test('whether a cart is due is read from an index, however many carts are not', async () => {
  await using database = await cloneDatabase('notifications')
  await database.query(
    `insert into cart (user_id, version, lines, remind_at)
     select uuidv7(), 1, '[]', now() + interval '1 day'
     from generate_series(1, $1::integer)`,
    [CARTS],
  )
  await database.query('analyze cart')
  const rows = await database.query<{ 'QUERY PLAN': string }>(`explain (costs off, generic_plan) ${selectDue.text}`)
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
  expect(plan).toContain('cart_reminding')
  expect(plan).not.toContain('Seq Scan')
})
