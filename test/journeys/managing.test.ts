import { join } from 'node:path'
import { shortId } from '@saas/contracts'
import { eventually } from '@saas/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Person, newCustomer, newProduct } from './src/person.ts'
import { openStage, type Stage } from './src/stage.ts'
import { Visitor } from './src/visitor.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})
afterAll(async () => await stage[Symbol.asyncDispose]())

const picture = join(import.meta.dirname, 'fixtures/portrait.png')

test('an empty shop says so, and leads a manager to the first product', async () => {
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await page.goto('/')
  await page.getByText('The shelves are still empty.').waitFor()
  expect(await page.getByRole('searchbox').count()).toBe(0)
  await visitor.photograph('28-empty-shop')
  await visitor.logIn(stage.manager)
  await visitor.openFromMenu('All orders')
  await page.getByText('Nobody has ordered anything yet.').waitFor()
  expect(await page.getByLabel('From', { exact: true }).count()).toBe(0)
  await visitor.photograph('29-no-orders')
  await page.getByRole('link', { name: /To the shop/ }).click()
  await page.getByRole('link', { name: 'New product' }).click()
  await visitor.seeHeading('New product')
})

test('a manager gives a product pictures, and visitors see them', { timeout: 60_000 }, async () => {
  const id = await newProduct(stage.shop, stage.manager, { sku: 'VASE-1', name: 'Tall vase', stock: 9, amount: 7900 })
  await using manager = await Visitor.arrive(stage)
  await manager.logIn(stage.manager)
  await manager.page.goto(`/manage/products/${id}`)
  await manager.page.getByLabel('Description').fill('Typed before the pictures were chosen.')
  await manager.page.locator('input[type=file]').setInputFiles([picture, picture])
  await manager.page.getByRole('img', { name: 'Picture 2 of 2' }).waitFor()
  // A picture is a new version, which must not void what is being typed.
  await manager.page.getByLabel('Low-stock alert').fill('3')
  await manager.page.getByRole('button', { name: 'Save' }).click()
  await manager.page.getByText('Saved', { exact: true }).waitFor()
  expect(await manager.page.getByLabel('Description').inputValue()).toBe('Typed before the pictures were chosen.')
  await manager.photograph('30-edit-with-pictures')

  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await page.goto(`/p/${id}`)
  await page.getByRole('button', { name: 'Picture 2 of 2' }).click()
  const shown = page.locator('.product-picture img')
  await eventually(async () => {
    expect(await shown.evaluate((image) => (image as HTMLImageElement).naturalWidth)).toBeGreaterThan(100)
  })
  await visitor.photograph('31-product-with-pictures')
  // One that does not load is replaced by a composed one.
  await page.route('**/picture/*', async (route) => await route.abort())
  await page.goto('/?q=vase')
  await page.locator('.card svg.artwork').waitFor()
  await page.unroute('**/picture/*')
  await page.reload()
  await page.locator('.card img.picture').waitFor()
  await visitor.photograph('32-shop-with-pictures')
})

test('a price that changed is flagged in the basket until the customer has seen it', async () => {
  const customer = await newCustomer(stage.shop, 'Fay Flagged')
  const id = await newProduct(stage.shop, stage.manager, { sku: 'RUG-1', name: 'Round rug', stock: 9, amount: 10_000 })
  await customer.request('PUT', `/cart/${id}`, { body: { quantity: 1 } })
  const manager = new Person(stage.shop)
  await manager.signIn(stage.manager)
  const body = { sku: 'RUG-1', name: 'Round rug', price: { amount: 12_000, currency: 'EUR' } }
  await manager.request('PUT', `/product/${id}`, { body, headers: { 'if-match': '*' } })
  await eventually(async () => {
    expect((await customer.get('/cart')).body.items[0].unitPrice.amount).toBe(12_000)
  })
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await visitor.logIn(customer.credentials)
  await page.getByRole('link', { name: /^Basket/ }).click()
  await page.getByText('It cost €100.00 when you put it in.').waitFor()
  await visitor.photograph('33-price-changed')
  await page.getByRole('button', { name: 'All right' }).click()
  await page.getByText('It cost €100.00').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Place the order' }).click()
  await visitor.seeHeading(/^Order of/)
})

test('managers find everybody’s orders, and what became of price and stock', async () => {
  const customer = await newCustomer(stage.shop, 'Olga Ordered')
  const id = await newProduct(stage.shop, stage.manager, { sku: 'STOOL-1', name: 'Low stool', stock: 9, amount: 5900 })
  const lines = [{ productId: id, quantity: 2 }]
  const headers = { 'idempotency-key': 'stool-1', prefer: 'wait=10' }
  const placed = await customer.post('/order', { lines }, headers)
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await visitor.logIn(stage.manager)
  await visitor.openFromMenu('All orders')
  await page.getByRole('cell', { name: 'Low stool' }).waitFor()
  await visitor.photograph('34-all-orders')
  await page.getByLabel('Status').selectOption('cancelled')
  await page.getByText('There are no such orders.').waitFor()
  await page.getByLabel('From', { exact: true }).fill('2026-03-02')
  await page.getByLabel('To', { exact: true }).fill('2026-03-01')
  await page.getByText('The last day is before the first.').waitFor()
  await page.getByRole('link', { name: 'Show all' }).click()
  await page.getByRole('textbox', { name: 'Customer' }).fill(shortId(placed.body.id))
  await page.getByRole('textbox', { name: 'Customer' }).press('Enter')
  await page.getByText('This is not a customer’s ID.').waitFor()
  await page.getByRole('link', { name: 'Show all' }).click()
  await page
    .getByRole('row', { name: /Low stool/ })
    .getByRole('rowheader')
    .getByRole('link')
    .click()
  await page.getByText(placed.body.id).waitFor()
  expect(page.url()).toContain(`/manage/orders/${placed.body.id}`)
  await visitor.photograph('35-any-order')

  await page.goto(`/manage/products/${id}`)
  await page.getByRole('cell', { name: 'Ordered -2' }).waitFor()
  await page.getByRole('link', { name: `Order ${shortId(placed.body.id)}` }).waitFor()
  await page
    .getByRole('row', { name: /First stock/ })
    .getByText('new product')
    .waitFor()
  await visitor.photograph('36-history')

  await page.getByLabel('Add or remove').fill('0')
  await page.getByLabel('Reason').fill('counted')
  await page.getByRole('button', { name: 'Change the stock' }).click()
  await page.getByText('Enter a number other than 0.').waitFor()
})

test('a product that is opened and saved as it is stays as it is, whatever it has', async () => {
  const manager = new Person(stage.shop)
  await manager.signIn(stage.manager)
  const attributes = {
    Number: '007',
    Size: '1.50',
    Mark: '42',
    Watts: 40,
    Oven: true,
    Dish: 'true',
    Care: 'Wash\ncold',
  }
  const odd = { tags: ['small, round', 'gift'], attributes, description: ' First.\n\nSecond. ' }
  const made = { sku: 'ODD-1', name: 'Odd lamp', price: { amount: 105, currency: 'EUR' }, ...odd }
  const { body } = await manager.post('/product', { ...made, stock: 1 })
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await visitor.logIn(stage.manager)
  await page.goto(`/manage/products/${body.id}`)
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('Saved', { exact: true }).waitFor()
  expect((await manager.get(`/product/${body.id}`)).body).toMatchObject(made)

  const field = page.getByLabel('Attributes')
  await field.fill(`${await field.inputValue()}\n2. Größe: L`)
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('“2. Größe” cannot be a name').waitFor()
  await visitor.photograph('39-attribute-name')
  await field.fill((await field.inputValue()).replace('2. Größe', 'Größe').replace('Watts: 40', 'Watts: 60'))
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('“2. Größe”').waitFor({ state: 'detached' })
  await eventually(async () => {
    const { body: saved } = await manager.get(`/product/${body.id}`)
    expect(saved.attributes).toEqual({ ...attributes, Watts: 60, Größe: 'L' })
  })
})

test('what the shop refuses is said at its field in the language of the page', async () => {
  await newProduct(stage.shop, stage.manager, { sku: 'TAKEN-1', name: 'First', stock: 1, amount: 100 })
  const { credentials } = await newCustomer(stage.shop, 'Greta Manager')
  const admin = new Person(stage.shop)
  await admin.signIn(stage.admin)
  const found = await admin.get(`/auth/users?q=${encodeURIComponent(credentials.email)}`)
  await admin.request('PUT', `/auth/users/${found.body.items[0].id}/roles`, { body: { roles: ['manager'] } })
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await visitor.logIn(credentials)
  await page.getByRole('button', { name: 'Deutsch' }).click()
  await page.getByRole('button', { name: 'Dein Menü' }).click()
  await page.getByRole('link', { name: 'Produkte verwalten' }).click()
  await page.getByRole('link', { name: 'Neues Produkt' }).click()
  await page.getByLabel('Name').fill(' ')
  await page.getByLabel('SKU').fill('TAKEN-1')
  await page.getByLabel('Preis').fill('1')
  await page.getByLabel('Währung').fill('XXQ')
  await page.getByLabel('Schlagwörter').fill('x'.repeat(51))
  await page.getByRole('button', { name: 'Produkt anlegen' }).click()
  const findings = page.locator('.finding')
  const shown = async (expected: readonly string[]): Promise<void> =>
    await eventually(async () => expect(await findings.allTextContents()).toEqual(expected))
  await shown(['Das darf nicht leer sein.', 'Es dürfen höchstens 50 Zeichen sein.'])
  await visitor.photograph('39-findings-german')
  await page.getByLabel('Name').fill('Zweites')
  await page.getByLabel('Schlagwörter').fill('x')
  await page.getByRole('button', { name: 'Produkt anlegen' }).click()
  await shown(['Diese Währung gibt es nicht.'])
  await page.getByLabel('Währung').fill('EUR')
  await page.getByRole('button', { name: 'Produkt anlegen' }).click()
  await shown(['Das ist schon vergeben.'])
  expect(await page.locator('.finding[lang]').count()).toBe(0)
})

test('a word that is longer than a phone is wide does not widen a page', async () => {
  const name = 'Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenhalterung'
  const id = await newProduct(stage.shop, stage.manager, { sku: 'LONG-1', name, stock: 1, amount: 100 })
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await visitor.logIn(stage.manager)
  await page.goto(`/p/${id}`)
  await visitor.seeHeading(name)
  await visitor.photograph('37-long-name')
  await page.goto(`/manage/products/${id}`)
  await visitor.seeHeading(`Edit ${name}`)
  await visitor.photograph('38-edit-long-name')
  const category = `${name}${name}`.slice(0, 100)
  await page.getByLabel('Category').fill(category)
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('Saved', { exact: true }).waitFor()
  await page.goto(`/?category=${category}`)
  await page.getByRole('button', { name: category }).waitFor()
  await visitor.photograph('40-long-category')
  await page.goto('/manage/files')
  const file = { name: 'wrong.csv', mimeType: 'text/csv', buffer: Buffer.from('SKU;Name;Preis\n1;2;3\n') }
  await page.locator('input[type=file]').setInputFiles(file)
  await page.getByRole('button', { name: 'Import', exact: true }).click()
  expect(await page.getByText(/The first line/).textContent()).toContain('lowStockThreshold')
  await visitor.photograph('39-import-wrong-header')
})

test('“is in your basket” does not follow to the next page', async () => {
  const id = await newProduct(stage.shop, stage.manager, { sku: 'HOOK-1', name: 'Brass hook', stock: 9, amount: 900 })
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await page.goto(`/p/${id}`)
  await page.getByRole('button', { name: 'Add to basket' }).click()
  await page.getByText('Brass hook is in your basket.').waitFor()
  await page.getByRole('link', { name: 'Basket, 1 item' }).click()
  await visitor.seeHeading('Basket')
  expect(await page.getByText('Brass hook is in your basket.').count()).toBe(0)
})
