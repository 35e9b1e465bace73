import { byService } from '@saas/contracts'
import { freePort } from '@saas/devstack'
import { eventually } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startEdge } from '../edge/edge.ts'
import { Person, newCustomer, newProduct } from './src/person.ts'
import { openStage, type Stage } from './src/stage.ts'
import { Visitor } from './src/visitor.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})
afterAll(async () => await stage[Symbol.asyncDispose]())

const product = async (sku: string, stock: number, amount = 700): Promise<string> =>
  await newProduct(stage.shop, stage.manager, { sku, name: sku, stock, amount })

describe('a basket', () => {
  test('says what is sold out or fewer before it is ordered, and keeps what there is', async () => {
    const customer = await newCustomer(stage.shop, 'Sam Short')
    const [spoon, fork, cup] = [await product('Spoon', 9), await product('Fork', 6), await product('Cup', 0)]
    for (const [id, quantity] of [
      [spoon, 2],
      [fork, 8],
      [cup, 1],
    ] as const) {
      await customer.request('PUT', `/cart/${id}`, { body: { quantity } })
    }
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(customer.credentials)
    await page.getByRole('link', { name: 'Basket, 11 items' }).click()
    await page.getByText('Sold out; remove it').waitFor()
    await page.getByText('Only 6 left').waitFor()
    await page.getByRole('alert').getByText('Some of this is no longer available.').waitFor()
    expect(await page.getByRole('button', { name: 'Place the order' }).count()).toBe(0)
    await visitor.photograph('41-basket-short')
    await page.getByRole('button', { name: 'Keep what is available' }).click()
    await page.getByRole('link', { name: 'Basket, 8 items' }).waitFor()
    await page.getByRole('button', { name: 'Place the order' }).click()
    await page.getByText('Everything is set aside for you.').waitFor()
    const { body } = await customer.get('/order')
    expect(body.items).toMatchObject([
      {
        lines: [
          { productId: spoon, quantity: 2 },
          { productId: fork, quantity: 6 },
        ],
      },
    ])
  })

  test('that sold out or changed while it was shown is looked at once more before it is ordered', async () => {
    const customer = await newCustomer(stage.shop, 'Lou Looker')
    const id = await product('Plate', 3)
    await customer.request('PUT', `/cart/${id}`, { body: { quantity: 1 } })
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(customer.credentials)
    await page.getByRole('link', { name: 'Basket, 1 item' }).click()
    const order = page.getByRole('button', { name: 'Place the order' })
    await order.waitFor()
    // Another device puts one more in.
    await customer.request('PUT', `/cart/${id}`, { body: { quantity: 2 } })
    await order.click()
    await page.getByText('Your basket has changed in the meantime.').waitFor()
    await page.getByRole('link', { name: 'Basket, 2 items' }).waitFor()
    // Others buy two of the three.
    const manager = new Person(stage.shop)
    await manager.signIn(stage.manager)
    const stockIs = async (stock: number): Promise<void> =>
      await eventually(async () => {
        const { body } = await manager.get(`/product?ids=${id}&limit=1`)
        expect(body.items[0].stock).toBe(stock)
      })
    await manager.post(`/product/${id}/stock`, { delta: -2, reason: 'sold' }, { 'idempotency-key': 'sold-2' })
    await stockIs(1)
    await order.click()
    await page.getByText('Only 1 left').waitFor()
    expect((await customer.get('/order')).body.items).toEqual([])
    // A tab that somebody comes back to shows what there is by then.
    await manager.post(`/product/${id}/stock`, { delta: 1, reason: 'found' }, { 'idempotency-key': 'found-1' })
    await stockIs(2)
    await page.evaluate("dispatchEvent(new Event('focus'))")
    await order.click()
    await visitor.seeHeading(/^Order of/)
    expect((await customer.get('/order')).body.items).toMatchObject([{ lines: [{ quantity: 2 }] }])
  })

  test('takes every click on one more, and keeps the focus where it is', async () => {
    const customer = await newCustomer(stage.shop, 'Clara Clicks')
    for (const id of [await product('Mug', 50), await product('Saucer', 50)]) {
      await customer.request('PUT', `/cart/${id}`, { body: { quantity: 1 } })
    }
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(customer.credentials)
    await page.getByRole('link', { name: 'Basket, 2 items' }).click()
    const mug = page.getByRole('listitem').filter({ hasText: 'Mug' })
    await mug.getByRole('button', { name: 'One more' }).focus()
    for (let presses = 0; presses < 5; presses += 1) await page.keyboard.press('Enter')
    await page.getByRole('link', { name: 'Basket, 7 items' }).waitFor()
    expect((await customer.get('/cart')).body.items).toMatchObject([{ quantity: 6 }, { quantity: 1 }])
    expect(await page.evaluate("document.activeElement.getAttribute('aria-label')")).toBe('One more')
    expect(await mug.getByRole('status').textContent()).toBe('6')
    await page.getByRole('status').getByText('€49.00').waitFor()
    // What went away with the focus leaves it to what stands there now, and never to another thing to press.
    await mug.getByRole('button', { name: 'Remove' }).press('Enter')
    const focused = async (): Promise<unknown> =>
      await page.evaluate("document.activeElement.tagName + ' ' + document.activeElement.textContent")
    await eventually(async () => expect(await focused()).toMatch(/^LI Saucer/))
    await page.getByRole('button', { name: 'Remove' }).press('Enter')
    await page.getByText('Your basket is empty.').waitFor()
    await eventually(async () => expect(await focused()).toBe('H1 Basket'))
  })

  test('is there again when the session ended meanwhile and its owner comes back', async () => {
    const customer = await newCustomer(stage.shop, 'Enno Ended')
    const { credentials } = customer
    const id = await product('Bowl', 50)
    await customer.request('PUT', `/cart/${id}`, { body: { quantity: 3 } })
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(credentials)
    await page.getByRole('link', { name: 'Basket, 3 items' }).click()
    await page.getByRole('button', { name: 'Place the order' }).waitFor()
    const elsewhere = new Person(stage.shop)
    await elsewhere.signIn(credentials)
    await elsewhere.request('DELETE', '/auth/sessions')
    await eventually(async () => expect((await customer.get('/profile')).status).toBe(401))
    await page.getByRole('button', { name: 'Place the order' }).click()
    await visitor.seeHeading('Sign in')
    await visitor.fillLogIn(credentials)
    await visitor.seeHeading('Basket')
    await page.getByRole('button', { name: 'Place the order' }).click()
    await visitor.seeHeading(/^Order of/)
    expect((await elsewhere.get('/order')).body.items).toMatchObject([{ lines: [{ quantity: 3 }] }])
  })
})

describe('an address', () => {
  test.for([
    ['en-GB', '/produts/123', 404, 'Page not found', 'Search the shop'],
    ['de-DE', '/order', 401, 'Diese Seite gibt es nicht', 'Den Laden durchsuchen'],
  ] as const)(
    'that names no page (%s, %s) is a page of the shop that leads on',
    async ([locale, path, status, heading, label]) => {
      await product(`Signpost-${status}`, 1)
      await using visitor = await Visitor.arrive(stage, locale)
      const { page } = visitor
      const answer = await page.goto(path)
      expect(answer?.status()).toBe(status)
      // Said by the document itself, before a script comes.
      expect(await answer?.text()).toContain(`<html lang="${locale.slice(0, 2)}">`)
      await visitor.seeHeading(heading)
      await visitor.photograph(`42-not-found-${status}`)
      await page.getByRole('searchbox', { name: label }).fill(`signpost-${status}`)
      await page.keyboard.press('Enter')
      await page.getByRole('link', { name: `Signpost-${status}` }).waitFor()
      await page.goBack()
      await visitor.seeHeading(heading)
    },
  )

  test('whose script does not come says so, and is there once it comes', async () => {
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    const late = page.getByText('This takes long.')
    await page.route('**/assets/*.js', async (route) => await route.abort())
    await page.goto('/basket')
    await late.waitFor()
    await visitor.photograph('44-script-missing')
    await page.unroute('**/assets/*.js')
    await page.getByRole('link', { name: 'Load again' }).click()
    await visitor.seeHeading('Basket')
    expect(await late.count()).toBe(0)
  })

  test('that is gone to in a tab from before an upgrade is there all the same, by the new scripts', async () => {
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await page.goto('/')
    // The page's own script has another name by now, in the document too.
    await page.route('**/assets/login-*.js', async (route) => await route.fulfill({ status: 404 }), { times: 1 })
    const renamed = '<!doctype html><script type="module" src="/assets/index-new.js"></script>'
    await page.route('/', async (route) => await route.fulfill({ body: renamed }), { times: 1 })
    await page.getByRole('link', { name: 'Sign in' }).click()
    await visitor.seeHeading('Sign in')
    expect(new URL(page.url()).pathname).toBe('/login')
  })

  test('says in words while nothing answers, and is there on the next try', async () => {
    const [port, nobody] = await Promise.all([freePort(), freePort()])
    const downUpstreams = byService(() => [`127.0.0.1:${nobody}`])
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    {
      await using _edge = await startEdge(port, { upstreams: downUpstreams })
      const answer = await page.goto(`http://localhost:${port}/basket`)
      expect(answer?.status()).toBe(503)
      await visitor.seeHeading('This page could not be loaded')
      expect(await page.evaluate("getComputedStyle(document.querySelector('a')).borderRadius")).toBe('999px')
      await visitor.photograph('43-unavailable')
    }
    const frontend = new URL(stage.shop.directUrls.frontend).host
    await using _again = await startEdge(port, { upstreams: { ...downUpstreams, frontend: [frontend] } })
    await page.getByRole('link', { name: 'Try again' }).click()
    await visitor.seeHeading('Basket')
  })
})

async function importProducts(lines: readonly object[]): Promise<void> {
  const manager = new Person(stage.shop)
  await manager.signIn(stage.manager)
  const body = new TextEncoder().encode(lines.map((line) => JSON.stringify(line)).join('\n'))
  const headers = { 'content-type': 'application/x-ndjson' }
  const { body: report } = await manager.request('POST', '/product/import', { body, headers })
  expect(report).toMatchObject({ created: lines.length, refused: 0 })
}

const numbers = Array.from({ length: 60 }, (_, index) => String(index + 1).padStart(2, '0'))
const price = { amount: 100, currency: 'EUR' }

test('a phone shows which category is chosen, however far along the row it is', async () => {
  const shelves = numbers.slice(0, 12)
  await importProducts(
    shelves.map((n) => ({ sku: `S-${n}`, name: `Box ${n}`, category: `Shelf ${n}`, price, stock: 1 })),
  )
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  const width = 360
  await page.setViewportSize({ width, height: 780 })
  await page.goto('/?category=Shelf%2012')
  const chosen = page.getByRole('button', { name: 'Shelf 12', pressed: true })
  await visitor.reloadUntilSeen(page.getByRole('button', { name: 'Shelf 05' }))
  await eventually(async () => {
    const box = await chosen.boundingBox()
    expect(box?.x).toBeGreaterThanOrEqual(0)
    expect((box?.x ?? width) + (box?.width ?? 0)).toBeLessThanOrEqual(width)
  })
})

test('the back button leads to the product that was left, however far down the list it is', async () => {
  await importProducts(numbers.map((n) => ({ sku: `PEG-${n}`, name: `Peg ${n}`, price, stock: 9 })))
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await page.goto('/?q=peg&sort=name')
  const cards = page.locator('.card')
  for (const shown of [24, 48]) {
    await eventually(async () => expect(await cards.count()).toBe(shown))
    await page.getByRole('button', { name: 'Load more' }).click()
    // One goes on with the first that is new.
    const next = `Peg ${shown + 1}`
    await eventually(async () => expect(await page.evaluate('document.activeElement.textContent')).toContain(next))
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

test('a search that found nothing is cleared and gone on with in the same field', async () => {
  await product('Whisk', 1)
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await page.goto('/')
  const field = page.getByRole('searchbox')
  await field.fill('nothing-of-this-name')
  await page.getByText('Nothing matches.').waitFor()
  await field.fill('')
  await page.getByRole('link', { name: 'Whisk' }).waitFor()
  await page.keyboard.type('whisk')
  await page.waitForURL('**/?q=whisk')
  expect(await field.inputValue()).toBe('whisk')
})

describe('a page', () => {
  test('an address that names nothing is a page that says so, whoever opens it', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Nora Nowhere')
    const nobodys = '01977c1e-6a00-7000-8000-0000000000ff'
    const tell = async (who: Parameters<Visitor['logIn']>[0], paths: readonly string[]) => {
      await using visitor = await Visitor.arrive(stage)
      await visitor.logIn(who)
      for (const path of paths) {
        await visitor.page.goto(path)
        await visitor.seeHeading('Page not found')
        await eventually(async () => expect(await visitor.page.title()).toBe('Page not found · saas'))
      }
    }
    await tell(credentials, ['/p/x', '/my/orders/x', `/my/orders/${nobodys}`])
    const things = ['products', 'orders'].map((kind) => `/manage/${kind}`)
    await tell(
      stage.manager,
      things.flatMap((path) => [`${path}/x`, `${path}/${nobodys}`]),
    )
  })

  test('a page that cannot be read says so in its heading, and can be asked for again', async () => {
    const product = await newProduct(stage.shop, stage.manager, {
      sku: 'AWAY-1',
      name: 'Tin box',
      stock: 5,
      amount: 900,
    })
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await page.route('**/product?ids=*', async (route) => await route.abort())
    await page.goto(`/p/${product}`)
    await visitor.seeHeading('This page could not be loaded')
    await page.unrouteAll()
    await page.getByRole('button', { name: 'Try again' }).click()
    await visitor.seeHeading('Tin box')
    await eventually(async () => expect(await page.title()).toBe('Tin box · saas'))
  })
})
