import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { authRoutes, ordersRoutes, productsRoutes } from '@saas/contracts'
import { eventually, signedIn } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Person,
  mailedToken,
  newCredentials,
  newCustomer,
  newStaff,
  type Credentials,
  type HttpAnswer,
} from './src/person.ts'
import { startShop, type Shop } from './src/shop.ts'

let shop: Shop
let staff: { admin: Credentials; manager: Credentials }

beforeAll(async () => {
  shop = await startShop()
  staff = await newStaff(shop)
})
afterAll(async () => await shop[Symbol.asyncDispose]())

const picture = join(import.meta.dirname, 'fixtures/portrait.png')

describe('by plain HTTP through the edge', () => {
  test('from registering to the mail that names the confirmed order', async () => {
    const customer = new Person(shop)
    const credentials = newCredentials('Carla Customer')
    const registered = await customer.post('/auth/register', { ...credentials, language: 'en' })
    expect([registered.status, registered.body]).toEqual([202, { status: 'accepted' }])

    const token = await mailedToken(shop, credentials.email)
    const verified = await customer.post('/auth/verify', { token })
    expect([verified.status, verified.body]).toEqual([200, { status: 'verified' }])
    await customer.signIn(credentials)

    const body = await readFile(picture)
    const headers = { 'content-type': 'image/png' }
    const portrait = await customer.request('PUT', '/profile/avatar', { body, headers })
    expect(portrait.status).toBe(200)
    const seen = await new Person(shop).get(portrait.body.avatar.medium)
    expect([seen.status, seen.headers.get('content-type')]).toEqual([200, 'image/webp'])
    expect(seen.body.length).toBeGreaterThan(100)

    const manager = new Person(shop)
    await manager.signIn(staff.manager)
    const price = { amount: 1250, currency: 'EUR' }
    const created = await manager.post('/product', { sku: 'KETTLE-1', name: 'Copper kettle', price, stock: 7 })
    expect(created.status).toBe(201)
    const { id } = created.body

    const anyone = new Person(shop)
    const listed = await eventually(async () => {
      const list = await anyone.get('/product?q=copper')
      expect(list.body.items).toHaveLength(1)
      return list
    })
    expect(listed.body.items[0]).toMatchObject({ id, stock: 7, price })

    const cart = await eventually(async () => {
      const put = await customer.request('PUT', `/cart/${id}`, { body: { quantity: 2 } })
      expect(put.status).toBe(200)
      return put
    })
    expect(cart.body.total).toEqual({ amount: 2500, currency: 'EUR' })

    const placed = await customer.post('/order', {}, { 'idempotency-key': 'kettle-order-1', prefer: 'wait=10' })
    expect([placed.status, placed.body.status]).toEqual([201, 'confirmed'])
    const again = await customer.post('/order', {}, { 'idempotency-key': 'kettle-order-1' })
    expect([again.status, again.body.id, again.headers.get('idempotency-replayed')]).toEqual([
      201,
      placed.body.id,
      'true',
    ])

    await eventually(async () => {
      const after = await anyone.get(`/product?ids=${id}`)
      expect(after.body.items[0].stock).toBe(5)
    })
    const mail = await shop.mailbox.waitForMail(credentials.email, ({ text }) => text.includes(placed.body.id))
    expect(mail.text).toContain('Copper kettle')
  })

  test('an anonymous request for a protected route is stopped by nginx and never reaches the service', async () => {
    const anyone = new Person(shop)
    const requests = [
      ['GET', '/order', 'orders'],
      ['GET', '/cart', 'orders'],
      ['POST', '/product', 'products'],
      ['GET', '/admin/notifications/mail', 'notifications'],
    ] as const
    for (const [method, path, service] of requests) {
      const answer = await anyone.request(method, path, method === 'POST' ? { body: {} } : {})
      expect([path, answer.status, answer.body.type]).toEqual([path, 401, '/problems/not-signed-in'])
      await assertNeverCame(service, answer.headers)
    }
    // What does come is found by the same id, so the assertion above can fail.
    const came = await anyone.get('/product')
    const requestId = came.headers.get('x-request-id') ?? 'none'
    await eventually(async () => expect(await shop.logOf('products')).toContain(requestId))
  })

  test('a request with the wrong role is stopped by nginx and never reaches the service', async () => {
    const customer = await newCustomer(shop, 'Wanda Wrongrole')
    const product = { sku: 'NOT-MINE', name: 'Not mine', price: { amount: 1, currency: 'EUR' }, stock: 1 }
    const requests = [
      ['POST', '/product', 'products', product],
      ['GET', '/admin/orders/lag', 'orders', undefined],
      ['GET', '/admin/notifications/mail', 'notifications', undefined],
    ] as const
    for (const [method, path, service, body] of requests) {
      const answer = await customer.request(method, path, body === undefined ? {} : { body })
      expect([path, answer.status, answer.body.type]).toEqual([path, 403, '/problems/forbidden'])
      await assertNeverCame(service, answer.headers)
    }
  })

  test('a request sent straight to a service without an internal token is refused by the service', async () => {
    const attempts = [
      [shop.directUrls.orders, ordersRoutes.listOrders.path, 'GET'],
      [shop.directUrls.products, productsRoutes.createProduct.path, 'POST'],
      [shop.directUrls.notifications, '/admin/notifications/mail', 'GET'],
      [shop.directUrls.auth, authRoutes.getProfile.path, 'GET'],
    ] as const
    for (const [url, path, method] of attempts) {
      const json = { 'content-type': 'application/json' }
      const post = method === 'POST' ? { headers: json, body: '{}' } : {}
      const answer = await fetch(url + path, { method, ...post })
      expect([path, answer.status]).toEqual([path, 403])
      await answer.body?.cancel()
    }
  })

  test('forged identity headers from outside change nothing', async () => {
    const victim = await newCustomer(shop, 'Vera Victim')
    const attacker = await newCustomer(shop, 'Axel Attacker')
    const victimId = (await victim.get('/profile')).body.id
    const attackerId = (await attacker.get('/profile')).body.id
    // Even a token that the services would accept, were it not for the edge.
    const forged = {
      'x-user-id': victimId,
      'x-roles': 'admin',
      ...signedIn(authRoutes.getProfile, { userId: victimId, roles: ['admin'] }),
    }
    const asAttacker = await attacker.request('GET', '/profile', { headers: forged })
    expect([asAttacker.status, asAttacker.body.id]).toEqual([200, attackerId])
    const asNobody = await new Person(shop).request('GET', '/profile', { headers: forged })
    expect(asNobody.status).toBe(401)
    const asAdmin = await attacker.request('GET', '/auth/users', { headers: forged })
    expect(asAdmin.status).toBe(403)
  })

  test('an account that is deleted is forgotten by orders and notifications, and holds no stock in a cart', async () => {
    const manager = new Person(shop)
    await manager.signIn(staff.manager)
    const price = { amount: 300, currency: 'EUR' }
    const product = await manager.post('/product', { sku: 'SPOON-1', name: 'Silver spoon', price, stock: 9 })
    const productId: string = product.body.id
    const customer = await newCustomer(shop, 'Dora Departing')
    const { email, password } = customer.credentials
    const userId: string = (await customer.get('/profile')).body.id
    const order = await eventually(async () => {
      const body = { lines: [{ productId, quantity: 2 }] }
      const placed = await customer.post('/order', body, { 'idempotency-key': 'spoons', prefer: 'wait=10' })
      expect([placed.status, placed.body.status]).toEqual([201, 'confirmed'])
      return placed.body
    })
    expect((await customer.request('PUT', `/cart/${productId}`, { body: { quantity: 3 } })).status).toBe(200)
    const office = new Person(shop)
    await office.signIn(staff.admin)
    const ordersOf = async (): Promise<HttpAnswer> => await manager.get(`/order/all?customer=${userId}`)
    const mailsTo = async (): Promise<HttpAnswer> =>
      await office.get(`/admin/notifications/mail?email=${encodeURIComponent(email)}`)
    await shop.mailbox.waitForMail(email, ({ text }) => text.includes(order.id))
    // What is looked at afterwards is there before.
    expect((await ordersOf()).body.items).toMatchObject([{ id: order.id }])
    expect((await mailsTo()).body.items.length).toBeGreaterThan(1)

    expect((await customer.request('DELETE', '/profile', { body: { currentPassword: password } })).status).toBe(204)
    expect((await customer.get('/profile')).status).toBe(401)
    await eventually(async () => {
      for (const answer of [await ordersOf(), await mailsTo()]) {
        expect([answer.status, answer.body.items]).toEqual([200, []])
      }
    })
    // What was sold stays in the books, with nobody's name, and stays sold; what lay in the cart was never held.
    const kept = await manager.get(`/order/${order.id}`)
    expect([kept.status, kept.body.status]).toEqual([200, 'confirmed'])
    expect(JSON.stringify(kept.body)).not.toContain(userId)
    expect((await manager.get(`/product/${productId}`)).body.stock).toBe(7)
    for (const service of ['orders', 'products', 'notifications']) {
      const letters = await office.get(`/admin/${service}/dead-letter`)
      expect([letters.status, letters.body.items]).toEqual([200, []])
    }
  })

  test('wrong input is named by JSON pointer', async () => {
    const manager = new Person(shop)
    await manager.signIn(staff.manager)
    const body = { sku: 'BAD SKU', name: 'X', price: { amount: 1.5, currency: 'EUR' }, stock: 1 }
    const answer = await manager.post('/product', body)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([400, expect.stringContaining('problem+json')])
    const pointers = answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)
    expect(pointers).toEqual(expect.arrayContaining(['/sku', '/price/amount']))
  })
})

/** The edge gives every request an id, which the service would have logged. */
async function assertNeverCame(service: 'orders' | 'products' | 'notifications', headers: Headers): Promise<void> {
  const requestId = headers.get('x-request-id') ?? ''
  expect(requestId).toMatch(/^[0-9a-f-]{36}$/)
  expect(await shop.logOf(service)).not.toContain(requestId)
}
