import { join } from 'node:path'
import { eventually } from '@saas/testing'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launchBrowser } from './src/browser.ts'
import {
  Person,
  mailedToken,
  newCredentials,
  newCustomer,
  newProduct,
  newStaff,
  type Credentials,
} from './src/person.ts'
import { startShop, type Shop } from './src/shop.ts'
import { Visitor } from './src/visitor.ts'

let shop: Shop
let browser: Browser
let staff: { admin: Credentials; manager: Credentials }

beforeAll(async () => {
  ;[shop, browser] = await Promise.all([startShop(), launchBrowser()])
  staff = await newStaff(shop)
})
afterAll(async () => {
  await browser.close()
  await shop[Symbol.asyncDispose]()
})

const picture = join(import.meta.dirname, 'fixtures/portrait.png')

describe('in a real browser', () => {
  test('from registering to the mail that names the confirmed order', { timeout: 60_000 }, async () => {
    await using customer = await Visitor.arrive(shop, browser)
    const { page } = customer
    const credentials = newCredentials('Carla Customer')

    await page.goto('/register')
    await page.getByLabel('Name').fill(credentials.name)
    await page.getByLabel('Email').fill(credentials.email)
    await page.getByLabel('Password', { exact: true }).fill(credentials.password)
    await customer.photograph('01-register')
    await page.getByRole('button', { name: 'Register' }).click()
    await customer.seeHeading('Look into your mailbox')
    await customer.photograph('02-look-into-your-mailbox')

    const token = await mailedToken(shop, credentials.email)
    await page.goto(`/verify#token=${token}`)
    await customer.photograph('03-verify')
    expect(page.url()).not.toContain(token)
    await page.getByRole('button', { name: 'Confirm my address' }).click()
    await customer.seeHeading('Your address is confirmed')
    await page.getByRole('main').getByRole('link', { name: 'Log in' }).click()
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

    await using manager = await Visitor.arrive(shop, browser)
    await manager.logIn(staff.manager)
    await manager.openFromMenu('Manage products')
    await manager.page.getByRole('link', { name: 'New product' }).click()
    await manager.page.getByLabel('Name').fill('Copper kettle')
    await manager.page.getByLabel('SKU').fill('KETTLE-1')
    await manager.page.getByLabel('Price').fill('12,50')
    await manager.page.getByLabel('Description').fill('Boils water, sings a little, lasts a lifetime.')
    await manager.page.getByLabel('Category').fill('Kitchen')
    await manager.page.getByLabel('Tags').fill('copper, gift')
    await manager.page.getByLabel('Attributes').fill('Volume: 1.2 l\nDishwasher: false')
    await manager.page.getByLabel('Stock').fill('7')
    await manager.photograph('05-new-product')
    await manager.page.getByRole('button', { name: 'Create the product' }).click()
    await manager.seeHeading('Edit Copper kettle')
    await manager.photograph('06-edit-product')

    await page.getByRole('link', { name: /To the shop/ }).click()
    await page.getByRole('searchbox', { name: 'Search the shop' }).fill('coper ketle')
    await page.getByRole('link', { name: 'Copper kettle' }).waitFor()
    await customer.photograph('07-shop')
    await page.getByRole('link', { name: 'Copper kettle' }).click()
    await customer.seeHeading('Copper kettle')
    await page.getByText('€12.50').waitFor()
    await page.getByRole('button', { name: 'One more' }).click()
    // The product reaches orders over the bus a moment after it was made.
    await eventually(async () => {
      await page.getByRole('button', { name: 'Add to basket' }).click()
      await page.getByRole('link', { name: 'Basket, 2 items' }).waitFor({ timeout: 1000 })
    })
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
    await page.getByText('Only 5 left').waitFor()
    const mail = await shop.mailbox.waitForMail(credentials.email, ({ text }) => text.includes(orderId))
    expect(mail.text).toContain('Copper kettle')

    await customer.openFromMenu('My orders')
    await page.getByText('Confirmed').waitFor()
    await customer.photograph('11-my-orders')
  })

  test('an anonymous basket survives logging in', async () => {
    const { credentials } = await newCustomer(shop, 'Anna Anonymous')
    const id = await newProduct(shop, staff.manager, { sku: 'LAMP-1', name: 'Paper lamp', stock: 50, amount: 4900 })
    await using visitor = await Visitor.arrive(shop, browser)
    const { page } = visitor
    await page.goto(`/p/${id}`)
    await page.getByRole('button', { name: 'Add to basket' }).click()
    await page.getByRole('link', { name: 'Basket, 1 item' }).click()
    await page.getByRole('button', { name: 'One more' }).click()
    await page.reload()
    await page.getByRole('link', { name: 'Log in to order' }).click()
    await visitor.fillLogIn(credentials)
    await visitor.seeHeading('Basket')
    await page.getByRole('button', { name: 'Place the order' }).waitFor()
    await page.getByRole('link', { name: 'Basket, 2 items' }).waitFor()
    expect(await page.evaluate("localStorage.getItem('basket')")).toBeNull()
  })

  test('a double click on the button places one order', async () => {
    const customer = await newCustomer(shop, 'Dora Double')
    const id = await newProduct(shop, staff.manager, { sku: 'CUP-1', name: 'Blue cup', stock: 50, amount: 900 })
    await customer.request('PUT', `/cart/${id}`, { body: { quantity: 1 } })
    await using visitor = await Visitor.arrive(shop, browser)
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
    const customer = await newCustomer(shop, 'Lotte Lost')
    const id = await newProduct(shop, staff.manager, { sku: 'BOWL-1', name: 'Green bowl', stock: 50, amount: 1900 })
    await customer.request('PUT', `/cart/${id}`, { body: { quantity: 1 } })
    await using visitor = await Visitor.arrive(shop, browser)
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

  test('logging out everywhere ends the other sessions and this one', async () => {
    const { credentials } = await newCustomer(shop, 'Ella Everywhere')
    const elsewhere = new Person(shop)
    await elsewhere.signIn(credentials)
    expect((await elsewhere.get('/profile')).status).toBe(200)
    await using visitor = await Visitor.arrive(shop, browser)
    const { page } = visitor
    await visitor.logIn(credentials)
    const otherTab = await visitor.newTab()
    await otherTab.goto('/my/orders')
    await otherTab.getByText('You have not ordered anything yet.').waitFor()
    await visitor.openFromMenu('Account')
    await page.getByText('This device').waitFor()
    await page.getByRole('button', { name: 'Log out everywhere' }).click()
    await visitor.seeHeading('Log in')
    await otherTab.getByRole('heading', { level: 1, name: 'Log in' }).waitFor()
    await eventually(async () => {
      expect((await elsewhere.get('/profile')).status).toBe(401)
    })
    await page.reload()
    await visitor.seeHeading('Log in')
  })

  test('a session survives a reload without any token that scripts can read', async () => {
    const { credentials } = await newCustomer(shop, 'Rita Reload')
    await using visitor = await Visitor.arrive(shop, browser)
    const { page } = visitor
    await visitor.logIn(credentials)
    await page.reload()
    await page.getByRole('button', { name: 'Your menu' }).waitFor()
    const readable = await page.evaluate(
      'document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)',
    )
    expect(readable).not.toMatch(/eyJ|refresh/)
  })

  test('an auth that does not answer logs nobody out, and the page says so', async () => {
    const { credentials } = await newCustomer(shop, 'Iris Interrupted')
    await using visitor = await Visitor.arrive(shop, browser)
    const { page } = visitor
    await visitor.logIn(credentials)
    await page.route('**/auth/refresh', async (route) => await route.fulfill({ status: 503, body: '' }))
    await page.goto('/my/orders')
    await page.getByText('We cannot check your session right now').first().waitFor()
    expect(page.url()).toContain('/my/orders')
    await page.unroute('**/auth/refresh')
    await page.getByText('You have not ordered anything yet.').waitFor()
  })

  test('the keyboard alone is enough to order', async () => {
    const { credentials } = await newCustomer(shop, 'Kay Keyboard')
    await newProduct(shop, staff.manager, { sku: 'TRAY-1', name: 'Oak tray', stock: 50, amount: 2900 })
    await using visitor = await Visitor.arrive(shop, browser)
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

  test('two managers: the later one is told and loses nothing', async () => {
    const id = await newProduct(shop, staff.manager, { sku: 'VASE-1', name: 'Old vase', stock: 5, amount: 3000 })
    await using visitor = await Visitor.arrive(shop, browser)
    const { page } = visitor
    await visitor.logIn(staff.manager)
    await page.goto(`/manage/products/${id}`)
    await visitor.seeHeading('Edit Old vase')
    const other = new Person(shop)
    await other.signIn(staff.manager)
    const { headers } = await other.get(`/product/${id}`)
    const body = { sku: 'VASE-1', name: 'Older vase', price: { amount: 3000, currency: 'EUR' } }
    await other.request('PUT', `/product/${id}`, { body, headers: { 'if-match': headers.get('etag') ?? '' } })
    await page.getByLabel('Name').fill('My vase')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByText('Somebody changed this product').waitFor()
    await visitor.photograph('21-conflict')
    await page.getByRole('button', { name: 'Save mine over it' }).click()
    await visitor.seeHeading('Edit My vase')
    expect((await other.get(`/product/${id}`)).body).toMatchObject({ name: 'My vase', version: 3, stock: 5 })
  })

  test('an administrator sees mails, lag, dead letters and people', async () => {
    await using visitor = await Visitor.arrive(shop, browser)
    const { page } = visitor
    await visitor.logIn(staff.admin)
    await visitor.openFromMenu('Operate')
    await page.getByRole('rowheader', { name: 'Verify address' }).first().waitFor()
    await visitor.photograph('30-mails')
    await page.getByRole('link', { name: 'Lag' }).click()
    await page.getByText('Messages on the stream').nth(3).waitFor()
    await visitor.photograph('31-lag')
    await page.getByRole('link', { name: 'Dead letters' }).click()
    await page.getByText('No dead letters. All is well.').waitFor()
    await page.getByRole('link', { name: 'Users' }).click()
    const manager = page.getByRole('row', { name: staff.manager.email })
    await manager.waitFor()
    expect(await manager.getByLabel('Manager').isChecked()).toBe(true)
    await visitor.photograph('32-users')
  })

  test('speaks German to those who ask for it, and explains problems', async () => {
    await using visitor = await Visitor.arrive(shop, browser, 'de-DE')
    const { page } = visitor
    await page.goto('/')
    await visitor.seeHeading('Was darf es sein?')
    await page.goto('/problems/version-changed')
    await visitor.seeHeading('Jemand hat es inzwischen geändert')
    await page.goto('/login')
    await visitor.photograph('40-anmelden')
    await page.getByLabel('E-Mail').fill('niemand@example.com')
    await page.getByLabel('Passwort', { exact: true }).fill('das ist nicht das richtige')
    await page.getByRole('main').getByRole('button', { name: 'Anmelden' }).click()
    const alert = page.getByRole('alert')
    await alert.waitFor()
    expect(await alert.textContent()).toBe('E-Mail, Passwort oder Code stimmen nicht')
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
