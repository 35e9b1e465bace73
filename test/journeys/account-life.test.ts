import { readFile } from 'node:fs/promises'
import { signUnsubscribe } from '@saas/http'
import { eventually } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mailedCode, mailedToken, newCustomer, newProduct, Person } from './src/person.ts'
import { openStage, type Stage } from './src/stage.ts'
import { Visitor } from './src/visitor.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})
afterAll(async () => await stage[Symbol.asyncDispose]())

/** A picture whose left half is black and whose right half is white, as base64. */
const HALVES = `(() => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 200, height: 100 })
  const context = canvas.getContext('2d')
  context.fillRect(0, 0, 100, 100)
  context.fillStyle = 'white'
  context.fillRect(100, 0, 100, 100)
  return canvas.toDataURL('image/png').split(',')[1]
})()`
/** The least red of any pixel of the picture at the top of the page, once it has loaded. */
const DARKEST_OF_PORTRAIT = `(() => {
  const image = document.querySelector('.top img.avatar')
  const { naturalWidth: width, naturalHeight: height } = image
  const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d')
  context.drawImage(image, 0, 0)
  return context.getImageData(0, 0, width, height).data.filter((_, at) => at % 4 === 0).reduce((a, b) => Math.min(a, b))
})()`

const password = (visitor: Visitor) => visitor.page.getByLabel('Current password', { exact: true })

describe('the life of an account in a real browser', () => {
  test('a kind of mail is switched off from a mail, by its program and by its page, and on again in the account', async () => {
    const customer = await newCustomer(stage.shop, 'Una Unsubscriber')
    const { id: userId } = (await customer.get('/profile')).body
    const token = signUnsubscribe({ userId, kind: 'announcement' }, stage.shop.mailSecretKey)
    const opened = await fetch(`${stage.shop.url}/auth/unsubscribe/${token}`, { redirect: 'manual' })
    expect([opened.status, opened.headers.get('location')]).toEqual([303, `/unsubscribe#${token}`])
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await page.goto(`/unsubscribe#${token}`)
    await page.getByText('You will no longer get this kind of mail').waitFor()
    expect(page.url()).not.toContain(token)
    expect((await customer.get('/profile/preferences')).body).toMatchObject({ announcement: true })
    await visitor.photograph('40-unsubscribe')
    await page.getByRole('main').getByRole('button', { name: 'Unsubscribe' }).click()
    await visitor.seeHeading('You are unsubscribed')
    expect((await customer.get('/profile/preferences')).body).toMatchObject({ announcement: false, digest: true })

    const digest = signUnsubscribe({ userId, kind: 'digest' }, stage.shop.mailSecretKey)
    const body = new URLSearchParams({ 'List-Unsubscribe': 'One-Click' })
    const byProgram = await fetch(`${stage.shop.url}/auth/unsubscribe/${digest}`, { method: 'POST', body })
    expect([byProgram.status, await byProgram.json()]).toEqual([200, { kind: 'digest' }])

    await visitor.logIn(customer.credentials)
    await visitor.openFromMenu('Account')
    const announcements = page.getByLabel('Announcements from the shop')
    await announcements.waitFor()
    expect(await announcements.isChecked()).toBe(false)
    await visitor.photograph('41-account')
    await announcements.check()
    await page.getByText('Saved').first().waitFor()
    expect((await customer.get('/profile/preferences')).body).toMatchObject({ announcement: true, digest: false })
  })

  test('the part of a picture that was chosen, by keys alone, becomes the profile picture; before it is an initial', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Pia Portrait')
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(credentials)
    const initial = page.locator('.top span.avatar')
    expect(await initial.textContent()).toBe('P')
    await visitor.openFromMenu('Account')
    await page.locator('input[type=file]').setInputFiles({
      name: 'halves.png',
      mimeType: 'image/png',
      buffer: Buffer.from(String(await page.evaluate(HALVES)), 'base64'),
    })
    const preview = page.getByRole('img', { name: 'Preview of the new picture' })
    await preview.waitFor()
    await page.getByLabel('Zoom').press('End')
    await page.getByLabel('Left, right').press('End')
    await visitor.photograph('46-crop')
    await page.getByRole('button', { name: 'Use this picture' }).click()
    await page.getByText('Your picture is saved.').waitFor()
    // Only the right half is white: the middle, which is taken when nothing is chosen, is half black.
    await eventually(async () => expect(await page.evaluate(DARKEST_OF_PORTRAIT)).toBeGreaterThan(250))

    await page.getByRole('button', { name: 'Remove the picture' }).click()
    await initial.waitFor()
  })

  test('an account moves to another address, and whoever reads the old one takes that back', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Mona Mover')
    const next = `moved-${credentials.email}`
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(credentials)
    await visitor.openFromMenu('Account')
    await page.getByRole('button', { name: 'Change the address' }).click()
    await page.getByLabel('New address').fill(next)
    await password(visitor).first().fill('not the password')
    await page.getByRole('button', { name: 'Change the address' }).click()
    await page.getByText('The email, password or code is not right').waitFor()
    await password(visitor).first().fill(credentials.password)
    await page.getByRole('button', { name: 'Change the address' }).click()
    await page.getByText('A link and a code are on their way').waitFor()
    await page.getByLabel('Six-digit code').fill(await mailedCode(stage.shop, next, /./))
    await visitor.photograph('42-new-address')
    await page.getByRole('button', { name: 'Confirm the new address' }).click()
    await page.getByText(`Your address is now ${next}.`).first().waitFor()

    await page.goto(`/email/undo#token=${await mailedToken(stage.shop, credentials.email, '/email/undo')}`)
    await visitor.photograph('43-undo')
    await page.getByRole('button', { name: 'Undo the change' }).click()
    await visitor.seeHeading('The change was undone')
    const token = await mailedToken(stage.shop, credentials.email, '/reset')
    const fresh = 'a wholly different sentence 8'
    expect((await new Person(stage.shop).post('/auth/password/reset', { token, password: fresh })).status).toBe(204)
    await visitor.logIn({ ...credentials, password: fresh })
  })

  test('a customer takes their data along and leaves, and the audit log says so without a name', async () => {
    const customer = await newCustomer(stage.shop, 'Lea Leaver')
    const { credentials } = customer
    const productId = await newProduct(stage.shop, stage.manager, { sku: 'CUP-9', name: 'Cup', stock: 9, amount: 500 })
    const ordered = await customer.post(
      '/order',
      { lines: [{ productId, quantity: 1 }] },
      { 'idempotency-key': 'once' },
    )
    expect(ordered.status).toBe(201)
    const { id: userId } = (await customer.get('/profile')).body
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(credentials)
    await visitor.openFromMenu('Account')
    const downloading = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download my data' }).click()
    const file = await (await downloading).path()
    const everything: unknown = JSON.parse(await readFile(file, 'utf8'))
    expect(everything).toMatchObject({
      profile: { email: credentials.email },
      sessions: [{ device: expect.stringContaining('Chrome') }, {}],
      signIns: [{ action: 'sign-in' }, { action: 'sign-in' }],
      orders: [{ id: ordered.body.id, lines: [{ sku: 'CUP-9' }] }],
      mails: expect.arrayContaining([expect.objectContaining({ kind: 'verify-address' })]),
    })

    await page.getByRole('button', { name: 'Delete my account' }).click()
    await page.locator('.panel.danger').getByLabel('Current password', { exact: true }).fill(credentials.password)
    await visitor.photograph('44-leaving')
    await page.getByRole('button', { name: 'Delete for good' }).click()
    await page.getByText('Your account is deleted.').waitFor()
    expect((await customer.get('/profile')).status).toBe(401)

    const [office, manager] = [new Person(stage.shop), new Person(stage.shop)]
    await office.signIn(stage.admin)
    await manager.signIn(stage.manager)
    // Orders and notifications forget a moment later.
    await eventually(async () => {
      const orders = await manager.get(`/order/all?customer=${userId}`)
      expect([orders.status, orders.body.items]).toEqual([200, []])
      const mails = await office.get(`/admin/notifications/mail?email=${encodeURIComponent(credentials.email)}`)
      expect(mails.body.items).toEqual([])
    })
    await visitor.logIn(stage.admin)
    await page.goto('/operate?show=audit')
    await page.getByRole('rowheader').first().waitFor()
    await visitor.photograph('45-audit')
    await page.getByRole('row').filter({ hasText: 'Account deleted' }).getByText('a deleted account').waitFor()
  })
})
