import { eventually } from '@saas/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Person } from './src/person.ts'
import { openStage, type Stage } from './src/stage.ts'
import { Visitor } from './src/visitor.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})
afterAll(async () => await stage[Symbol.asyncDispose]())

test('the back button leads to the product that was left, however far down the list it is', async () => {
  const manager = new Person(stage.shop)
  await manager.signIn(stage.manager)
  const numbers = Array.from({ length: 60 }, (_, index) => String(index + 1).padStart(2, '0'))
  const lines = numbers.map((n) =>
    JSON.stringify({ sku: `PEG-${n}`, name: `Peg ${n}`, price: { amount: 100, currency: 'EUR' }, stock: 9 }),
  )
  const headers = { 'content-type': 'application/x-ndjson' }
  const { body: report } = await manager.request('POST', '/product/import', {
    body: new TextEncoder().encode(lines.join('\n')),
    headers,
  })
  expect(report).toMatchObject({ created: 60, refused: 0 })
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await page.goto('/?q=peg&sort=name')
  const cards = page.locator('.card')
  for (const shown of [24, 48]) {
    await eventually(async () => expect(await cards.count()).toBe(shown))
    await page.getByRole('button', { name: 'Load more' }).click()
  }
  const peg = page.getByRole('link', { name: 'Peg 55' })
  await peg.scrollIntoViewIfNeeded()
  const left = Number(await page.evaluate('scrollY'))
  expect(left).toBeGreaterThan(1_000)
  await peg.click()
  await visitor.seeHeading('Peg 55')
  expect(await page.evaluate('scrollY')).toBe(0)
  await page.goBack()
  await eventually(async () => expect(await page.evaluate('scrollY')).toBe(left))
  expect(await cards.count()).toBe(60)
  await page.goForward()
  await visitor.seeHeading('Peg 55')
})
