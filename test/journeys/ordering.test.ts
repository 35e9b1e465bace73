import { join } from 'node:path'
import { eventually } from '@saas/testing'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Person,
  mailedCode,
  mailedToken,
  newCredentials,
  newCustomer,
  newProduct,
  untilOrderable,
  type Credentials,
} from './src/person.ts'
import { openStage, type Stage } from './src/stage.ts'
import { Visitor } from './src/visitor.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})
afterAll(async () => await stage[Symbol.asyncDispose]())

const picture = join(import.meta.dirname, 'fixtures/portrait.png')

describe('ordering in a real browser', () => {
  test('from registering to the mail that names the confirmed order', { timeout: 60_000 }, async () => {
    await using customer = await Visitor.arrive(stage)
    const { page } = customer
    const credentials = newCredentials('Carla Customer')

    await page.goto('/register')
    await page.getByLabel('Name').fill(credentials.name)
    await page.getByLabel('Email').fill(credentials.email)
    await page.getByLabel('Password', { exact: true }).fill(credentials.password)
    await customer.photograph('01-register')
    await page.getByRole('button', { name: 'Register' }).click()
    await customer.seeHeading('Check your mailbox')
    await customer.photograph('02-look-into-your-mailbox')

    const token = await mailedToken(stage.shop, credentials.email)
    await page.goto(`/verify#token=${token}`)
    await customer.photograph('03-verify')
    expect(page.url()).not.toContain(token)
    await page.getByRole('button', { name: 'Confirm my address' }).click()
    await customer.seeHeading('Your address is confirmed')
    await page.getByRole('main').getByRole('link', { name: 'Sign in' }).click()
    await customer.fillLogIn(credentials)
    await customer.seeHeading('What would you like?')

    await customer.openFromMenu('Account')
    await page.locator('input[type=file]').setInputFiles(picture)
    await page.getByRole('img', { name: 'Preview of the new picture' }).waitFor()
    await page.getByRole('button', { name: 'Use this picture' }).click()
    await page.getByText('Your picture is saved.').waitFor()
    const portrait = page.locator('.top img.avatar')
    await eventually(async () => {
      expect(await portrait.evaluate((image) => (image as HTMLImageElement).naturalWidth)).toBe(64)
    })
    await customer.photograph('04-account')

    await using manager = await Visitor.arrive(stage)
    await manager.logIn(stage.manager)
    await manager.openFromMenu('Manage products')
    await manager.page.getByRole('link', { name: 'New product' }).click()
    await manager.page.getByLabel('Name').fill('Copper kettle')
    await manager.page.getByLabel('SKU').fill('KETTLE-1')
    await manager.page.getByLabel('Price').fill('12,50')
    await manager.page.getByLabel('Description').fill('Boils water, sings a little, lasts a lifetime.')
    await manager.page.getByLabel('Category').fill('Kitchen')
    await manager.page.getByLabel('Tags').fill('copper, gift')
    await manager.page.getByLabel('Attributes').fill('Volume: 1.2 l\nDishwasher: false')
    await manager.page.getByLabel('Stock', { exact: true }).fill('7')
    await manager.photograph('05-new-product')
    await manager.page.getByRole('button', { name: 'Create the product' }).click()
    await manager.seeHeading('Edit Copper kettle')
    await manager.photograph('06-edit-product')

    await page.getByRole('link', { name: /To the shop/ }).click()
    // Without products there is nothing to search.
    await customer.reloadUntilSeen(page.getByRole('link', { name: 'Copper kettle' }))
    await page.getByRole('searchbox', { name: 'Search the shop' }).fill('coper ketle')
    await page.waitForURL(/q=coper/)
    await page.getByRole('link', { name: 'Copper kettle' }).waitFor()
    await customer.photograph('07-shop')
    await page.getByRole('link', { name: 'Copper kettle' }).click()
    await customer.seeHeading('Copper kettle')
    await page.getByText('€12.50').waitFor()
    await page.getByRole('button', { name: 'One more' }).click()
    const buyer = new Person(stage.shop)
    await buyer.signIn(credentials)
    await untilOrderable(buyer, page.url().split('/').at(-1) ?? '')
    await page.getByRole('button', { name: 'Add to basket' }).click()
    await page.getByRole('link', { name: 'Basket, 2 items' }).waitFor()
    await customer.photograph('08-product')

    await page.getByRole('link', { name: 'Basket, 2 items' }).click()
    await page.getByText('€25.00').first().waitFor()
    await customer.photograph('09-basket')
    await page.getByRole('button', { name: 'Place the order' }).click()
    await customer.seeHeading(/^Order of/)
    await page.getByText('Everything is set aside for you.').waitFor()
    await customer.photograph('10-order-confirmed')
    const orderId = page.url().split('/').at(-1) ?? ''

    await page.goto('/')
    await page.getByRole('link', { name: 'Copper kettle' }).click()
    await customer.reloadUntilSeen(page.getByText('Only 5 left'))
    const mail = await stage.shop.mailbox.waitForMail(credentials.email, ({ text }) => text.includes(orderId))
    expect(mail.text).toContain('Copper kettle')

    await customer.openFromMenu('My orders')
    // Not the button that shows only such orders.
    await page.locator('.badge', { hasText: 'Confirmed' }).waitFor()
    await customer.photograph('11-my-orders')
    await page.getByRole('button', { name: 'Cancelled' }).click()
    await page.getByText('Nothing matches.').waitFor()
    await page.reload()
    await page.getByRole('button', { name: 'Cancelled', pressed: true }).waitFor()
    await page.getByText('Nothing matches.').waitFor()
    await page.getByRole('button', { name: 'All', exact: true }).click()
    await page.getByRole('listitem').filter({ hasText: 'Copper kettle' }).waitFor()
  })

  test('an anonymous basket survives logging in', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Anna Anonymous')
    const id = await newProduct(stage.shop, stage.manager, {
      sku: 'LAMP-1',
      name: 'Paper lamp',
      stock: 50,
      amount: 4900,
    })
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await page.goto(`/p/${id}`)
    const quantity = page.getByRole('textbox', { name: 'Quantity' })
    for (const odd of ['1.5', '1e1', '0x2', '+2', '']) {
      await quantity.fill(odd)
      await quantity.press('Tab')
      expect(await quantity.inputValue()).toBe('1')
    }
    await page.getByRole('button', { name: 'Add to basket' }).click()
    await page.getByRole('link', { name: 'Basket, 1 item' }).click()
    await page.getByRole('button', { name: 'One more' }).click()
    // What an older version, or somebody's hand, may have left there is no reason to lose the rest.
    await page.evaluate(`{
      const kept = JSON.parse(localStorage.getItem('basket'))
      const odd = [{ productId: 'x', quantity: 1 }, { ...kept[0], quantity: 0 }, { ...kept[0], unitPrice: 1 }, null]
      localStorage.setItem('basket', JSON.stringify([...odd, ...kept]))
    }`)
    await page.reload()
    await page.getByRole('link', { name: 'Sign in to order' }).click()
    await visitor.fillLogIn(credentials)
    await visitor.seeHeading('Basket')
    await page.getByRole('button', { name: 'Place the order' }).waitFor()
    await page.getByRole('link', { name: 'Basket, 2 items' }).waitFor()
    expect(await page.evaluate("localStorage.getItem('basket')")).toBeNull()
  })

  test('whoever registers to order comes back to the basket', async () => {
    const id = await newProduct(stage.shop, stage.manager, { sku: 'FLASK-1', name: 'Flask', stock: 50, amount: 900 })
    const toLogIn = async (page: Page): Promise<void> => {
      await page.goto(`/p/${id}`)
      await page.getByRole('button', { name: 'Add to basket' }).click()
      await page.getByRole('link', { name: 'Basket, 1 item' }).click()
      await page.getByRole('link', { name: 'Sign in to order' }).click()
      await page.getByRole('main').getByRole('link', { name: 'Register' }).click()
    }
    const fill = async (page: Page, { name, email, password }: Credentials): Promise<void> => {
      await page.getByLabel('Name').fill(name)
      await page.getByLabel('Email').fill(email)
      if ((await page.getByLabel('Password', { exact: true }).count()) > 0) {
        await page.getByLabel('Password', { exact: true }).fill(password)
      }
      await page.getByRole('button', { name: 'Register' }).click()
      await page.getByRole('heading', { name: 'Check your mailbox' }).waitFor()
    }
    {
      const who = newCredentials('Cody Code')
      await using visitor = await Visitor.arrive(stage)
      const { page } = visitor
      await toLogIn(page)
      await page.getByRole('link', { name: 'Without a password' }).click()
      await fill(page, who)
      await page.getByLabel('Six-digit code').fill(await mailedCode(stage.shop, who.email, /./))
      await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
      await visitor.seeHeading('Basket')
      await page.getByRole('button', { name: 'Place the order' }).waitFor()
    }
    {
      const who = newCredentials('Pam Password')
      await using visitor = await Visitor.arrive(stage)
      const { page } = visitor
      await toLogIn(page)
      await fill(page, who)
      await page.getByLabel('Six-digit code').fill(await mailedCode(stage.shop, who.email, /./))
      await page.getByRole('button', { name: 'Confirm my address' }).click()
      await visitor.seeHeading('Sign in')
      await visitor.fillLogIn(who)
      await visitor.seeHeading('Basket')
    }
    {
      const who = newCredentials('Lena Link')
      await using visitor = await Visitor.arrive(stage)
      const { page } = visitor
      await toLogIn(page)
      await fill(page, who)
      // The link of the mail opens another tab; where the order was begun goes on by itself.
      const tab = await visitor.newTab()
      await tab.goto(`/verify#token=${await mailedToken(stage.shop, who.email)}`)
      await tab.getByRole('button', { name: 'Confirm my address' }).click()
      await tab.getByRole('main').getByRole('link', { name: 'Sign in' }).click()
      await tab.getByLabel('Email').fill(who.email)
      await tab.getByLabel('Password', { exact: true }).fill(who.password)
      await tab.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
      await visitor.seeHeading('Basket')
      expect(new URL(page.url()).pathname).toBe('/basket')
    }
  })

  test('a double click on the button places one order', async () => {
    const customer = await newCustomer(stage.shop, 'Dora Double')
    const id = await newProduct(stage.shop, stage.manager, { sku: 'CUP-1', name: 'Blue cup', stock: 50, amount: 900 })
    await customer.request('PUT', `/cart/${id}`, { body: { quantity: 1 } })
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(customer.credentials)
    await page.getByRole('link', { name: /^Basket/ }).click()
    await page.getByRole('button', { name: 'Place the order' }).dblclick()
    await visitor.seeHeading(/^Order of/)
    const orders = await customer.get('/order')
    expect(orders.body.items).toHaveLength(1)
    expect(await page.evaluate("sessionStorage.getItem('checkout-key')")).toBeNull()
  })

  test('an order whose answer was lost is asked for again and not placed twice', async () => {
    const customer = await newCustomer(stage.shop, 'Lotte Lost')
    const id = await newProduct(stage.shop, stage.manager, {
      sku: 'BOWL-1',
      name: 'Green bowl',
      stock: 50,
      amount: 1900,
    })
    await customer.request('PUT', `/cart/${id}`, { body: { quantity: 1 } })
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(customer.credentials)
    // The shop gets the order, the browser never gets the answer.
    await page.route('**/order', async (route) => {
      await route.fetch()
      await route.abort('connectionreset')
    })
    await page.getByRole('link', { name: /^Basket/ }).click()
    await page.getByRole('button', { name: 'Place the order' }).click()
    await page.getByRole('button', { name: 'Ask again' }).waitFor()
    await visitor.photograph('20-answer-lost')
    await page.unroute('**/order')
    await page.reload()
    await page.getByRole('button', { name: 'Ask again' }).click()
    await visitor.seeHeading(/^Order of/)
    expect((await customer.get('/order')).body.items).toHaveLength(1)
  })

  test('a pending order turns to confirmed before one’s eyes', async () => {
    const customer = await newCustomer(stage.shop, 'Lea Live')
    const id = await newProduct(stage.shop, stage.manager, { sku: 'POT-1', name: 'Black pot', stock: 50, amount: 5900 })
    await customer.request('PUT', `/cart/${id}`, { body: { quantity: 3 } })
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(customer.credentials)
    await page.getByRole('link', { name: 'Basket, 3 items' }).click()
    const thaw = stage.shop.freezeBus()
    try {
      await page.getByRole('button', { name: 'Place the order' }).click()
      await page.getByText('We are setting your items aside.').waitFor()
      await visitor.photograph('22-order-pending')
    } finally {
      thaw()
    }
    await page.getByText('Everything is set aside for you.').waitFor()
    expect(await page.getByText('Live', { exact: true }).count()).toBe(0)
  })

  test('a cancelled order says so', async () => {
    const customer = await newCustomer(stage.shop, 'Cora Cancel')
    const id = await newProduct(stage.shop, stage.manager, { sku: 'JUG-1', name: 'White jug', stock: 50, amount: 3900 })
    const body = { lines: [{ productId: id, quantity: 1 }] }
    const headers = { 'idempotency-key': 'jug-order-1', prefer: 'wait=10' }
    const placed = await customer.post('/order', body, headers)
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(customer.credentials)
    await page.goto(`/my/orders/${placed.body.id}`)
    await page.getByRole('button', { name: 'Cancel the order' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel the order' }).click()
    await page.getByText('You cancelled this order.').waitFor()
    expect((await customer.get(`/order/${placed.body.id}`)).body.status).toBe('cancelled')
  })

  test('what a refused order held goes back into the basket, as far as there is some', async () => {
    const customer = await newCustomer(stage.shop, 'Rita Refused')
    const of = async (sku: string, stock: number) =>
      await newProduct(stage.shop, stage.manager, { sku, name: sku, stock, amount: 700 })
    const [spoon, fork] = [await of('SPOON-1', 9), await of('FORK-1', 6)]
    await customer.request('PUT', `/cart/${spoon}`, { body: { quantity: 2 } })
    await customer.request('PUT', `/cart/${fork}`, { body: { quantity: 8 } })
    // The basket in a browser would have said that there are fewer.
    const { body: refused } = await customer.post('/order', {}, { prefer: 'wait=10' })
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(customer.credentials)
    await page.goto(`/my/orders/${refused.id}`)
    await page.getByText('Something was sold out in the meantime.').waitFor()
    await visitor.photograph('23-order-rejected')
    await page.getByRole('button', { name: 'Put it back into the basket' }).dblclick()
    await visitor.seeHeading('Basket')
    await page.getByText('Some items are sold out').waitFor()
    await page.getByRole('link', { name: 'Basket, 8 items' }).waitFor()
    const { body } = await customer.get('/cart')
    expect(body.items).toMatchObject([
      { productId: spoon, quantity: 2 },
      { productId: fork, quantity: 6 },
    ])
  })

  test('the keyboard alone is enough to order', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Kay Keyboard')
    await newProduct(stage.shop, stage.manager, { sku: 'TRAY-1', name: 'Oak tray', stock: 50, amount: 2900 })
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(credentials)
    await page.goto('/?q=oak')
    await page.getByRole('link', { name: 'Oak tray' }).waitFor()
    await page.keyboard.press('Tab')
    expect(await focused(page)).toBe('Skip to content')
    await page.keyboard.press('Enter')
    await pressUntil(page, 'Oak tray')
    // After a change of page its heading has the focus, so that the next Tab is in the page.
    await eventually(async () => expect(await focused(page)).toBe('Oak tray'))
    await pressUntil(page, 'Add to basket')
    await page.getByRole('link', { name: 'Basket, 1 item' }).waitFor()
    await pressUntil(page, 'Basket (1)')
    await visitor.seeHeading('Basket')
    await pressUntil(page, 'Place the order')
    await visitor.seeHeading(/^Order of/)
    await page.getByText('Everything is set aside for you.').waitFor()
  })
})

const TABS_MAX = 30

async function focused(page: Page): Promise<unknown> {
  return await page.evaluate('document.activeElement.textContent.trim()')
}

/** Tabs to what bears this text and presses Enter there. */
async function pressUntil(page: Page, text: string): Promise<void> {
  for (let presses = 0; presses < TABS_MAX; presses += 1) {
    await page.keyboard.press('Tab')
    if ((await focused(page)) !== text) continue
    await page.keyboard.press('Enter')
    return
  }
  throw new Error(`No ${TABS_MAX} presses of Tab lead to ${text}.`)
}
