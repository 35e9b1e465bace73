import type { Profile } from '@saas/contracts'
import { cloneDirectory } from '@saas/devstack'
import { eventually } from '@saas/testing'
import { randomInt, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { brokenPromises, Ledger } from './checkers/index.ts'
import { Customer, type Answer } from './stage/customer.ts'
import { drained, evidenceOf } from './stage/evidence.ts'
import { impatience } from './stage/mutation.ts'
import { Stack, type Victim } from './stage/stack.ts'

const CUSTOMERS = 4
const ORDERS_EACH = 6
const STOCK = 1_000
const SETTLED_WITHIN_MS = 30_000
const picture = readFileSync(join(cloneDirectory, 'test/journeys/fixtures/portrait.png'))

let stack: Stack
let manager: Customer
let customers: Customer[]
const ledger = new Ledger()

beforeAll(async () => {
  stack = await Stack.start({
    services: ['auth', 'products', 'orders', 'notifications'],
    withEdge: true,
    mutations: impatience,
  })
  manager = await Customer.administrator(stack, ledger)
  const emails = Array.from({ length: CUSTOMERS }, (_, index) => `customer.${index}@example.com`)
  customers = await Promise.all(emails.map((email) => Customer.register(stack, email, ledger)))
  for (const customer of customers) await customer.expect(200, 'PUT', '/profile/avatar', picture)
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
})
beforeEach(() => {
  for (const { refusals } of customers) refusals.length = 0
})

/** A product that orders knows too. */
async function newProduct(): Promise<string> {
  const productId = await manager.sell(STOCK, 490)
  const text = 'select 1 from product_copy where product_id = $1'
  await eventually(async () => (await stack.database('orders').query(text, [productId])).length === 1)
  return productId
}

/** Kills the part and brings it back. What a dead worker held to send would lie still for two minutes: they pass at once. */
async function killAndRestart(victim: Victim): Promise<void> {
  await stack.kill(victim)
  if (victim === 'notifications') {
    const text = `update mail set due_at = now() where status = 'due' and lease is not null`
    await stack.database('notifications').query(text)
  }
  await stack.restart(victim)
}

interface Acknowledged {
  readonly id: string
  readonly key: string
  readonly quantity: number
  readonly customer: Customer
  readonly isCancelled: boolean
}

/** Orders of all customers at once, one after another of each; the part is killed in the middle of one of them. */
async function orderWhile(productId: string, killing: () => Promise<void>): Promise<Acknowledged[]> {
  const killedAt = randomInt(CUSTOMERS, CUSTOMERS * (ORDERS_EACH - 2))
  let begun = 0
  let killed = Promise.resolve()
  const shopping = customers.map(async (customer) => {
    const acknowledged: Acknowledged[] = []
    for (let number = 0; number < ORDERS_EACH; number += 1) {
      const [key, quantity] = [randomUUID(), randomInt(1, 4)]
      const placing = customer.place(key, productId, quantity, randomInt(0, 2))
      begun += 1
      if (begun === killedAt) killed = killing()
      const { id } = await placing
      const isCancelled = number === 2
      if (isCancelled) await customer.cancel(id)
      acknowledged.push({ id, key, quantity, customer, isCancelled })
    }
    return acknowledged
  })
  const orders = (await Promise.all(shopping)).flat()
  await killed
  return orders
}

interface StoredOrder {
  readonly order_id: string
  readonly status: string
}

/** Resolves when every order is what it must become, all of its stock is accounted for, and its mails are sent. */
async function expectNothingLost(productId: string, orders: readonly Acknowledged[], copiesMax: number): Promise<void> {
  const kept = orders.filter(({ isCancelled }) => !isCancelled)
  const units = kept.reduce((sum, { quantity }) => sum + quantity, 0)
  await eventually(
    async () => {
      const stored = await stack
        .database('orders')
        .query<StoredOrder>(
          'select order_id, status from orders join order_line using (order_id) where product_id = $1 order by order_id',
          [productId],
        )
      const wanted = orders.map(({ id, isCancelled }) => ({
        order_id: id,
        status: isCancelled ? 'cancelled' : 'confirmed',
      }))
      expect(stored).toEqual(wanted.toSorted((a, b) => (a.order_id < b.order_id ? -1 : 1)))
      const stock = await stack
        .database('products')
        .query(
          'select available::int, (select sum(delta)::int from stock_movement where product_id = $1) as explained from product where id = $1',
          [productId],
        )
      expect(stock).toEqual([{ available: STOCK - units, explained: STOCK - units }])
      for (const { id, customer } of kept) {
        const copies = stack.mail
          .mailsTo(customer.email)
          .filter(({ text }) => text.includes(id) && /^Subject: .* is confirmed$/m.test(text))
        expect(new Set(copies.map(({ messageId }) => messageId)).size, `confirmations of ${id}`).toBe(1)
        expect(copies.length, `copies of the confirmation of ${id}`).toBeLessThanOrEqual(copiesMax)
      }
      const text = `select kind, status, last_error from mail where status <> 'sent'`
      expect(await stack.database('notifications').query(text)).toEqual([])
    },
    { timeoutMs: SETTLED_WITHIN_MS },
  )
}

/** The picture is one that was uploaded, whole: that of an upload that was answered, or a later one's. */
async function expectWholePicture(customer: Customer, upload: Answer<Profile>): Promise<void> {
  const { avatar } = await customer.profile()
  if (avatar === null) throw new Error('The picture is gone')
  expect([0, 200, 503]).toContain(upload.status)
  // What an answer promised is there; of an upload without one, either picture may be.
  const promised = upload.status === 200 ? upload.body.avatar : avatar
  expect(avatar).toEqual(promised)
  expect(await customer.canSee(avatar)).toBe(true)
}

const victims: readonly Victim[] = [
  'auth',
  'products',
  'orders',
  'notifications',
  'nginx',
  'Postgres',
  'NATS',
  'object store',
  'mail server',
]

test.for(victims)(
  'kill -9 of %s while people order loses no order, no unit, no mail, no session and no picture',
  async (victim) => {
    const productId = await newProduct()
    const [painter] = customers
    if (painter === undefined) throw new Error('There is no customer')
    let uploading: Promise<Answer<Profile>> | undefined
    const orders = await orderWhile(productId, async () => {
      uploading = painter.upload(picture)
      await killAndRestart(victim)
    })
    const upload = await uploading
    if (upload === undefined) throw new Error('Nothing was killed')

    // An SMTP server that dies between keeping a mail and saying so, and a worker that dies before it wrote that down, cost a copy.
    const copiesMax = victim === 'notifications' || victim === 'mail server' || victim === 'Postgres' ? 2 : 1
    ledger.workerKills += copiesMax - 1
    await expectNothingLost(productId, orders, copiesMax)
    for (const { key, id, quantity, customer } of orders) {
      expect((await customer.place(key, productId, quantity, 0)).id).toBe(id)
    }
    for (const customer of customers) {
      await customer.profile()
      await customer.refresh()
      await customer.profile()
    }
    await expectWholePicture(painter, upload)
    expect(customers.flatMap(({ refusals }) => refusals)).toEqual([])
  },
)

test('an upload that the death of the object store cuts off leaves the old picture, and the next one works', async () => {
  const [painter] = customers
  if (painter === undefined) throw new Error('There is no customer')
  const { avatar } = await painter.profile()
  stack.child('object store').pause()
  const uploading = painter.upload(picture)
  const text = 'select 1 from avatar_orphan where delete_from > now()'
  await eventually(async () => (await stack.database('auth').query(text)).length > 0)
  await stack.kill('object store')
  expect((await uploading).status).toBe(503)
  expect((await painter.profile()).avatar).toEqual(avatar)
  await stack.restart('object store')
  if (avatar === null) throw new Error('There was no picture')
  expect(await painter.canSee(avatar)).toBe(true)
  const again = await painter.upload(picture)
  expect(again.status).toBe(200)
  expect(again.body.avatar).not.toEqual(avatar)
})

test('after all of that every promise holds, and no password and no token is anywhere', async () => {
  await drained(stack)
  expect(await brokenPromises(await evidenceOf(stack, ledger))).toBe('')
})
