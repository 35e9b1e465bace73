import { eventually } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Person, mailedCode, mailedToken, newCredentials, newCustomer, newProduct } from './src/person.ts'
import { openStage, type Stage } from './src/stage.ts'
import { Visitor } from './src/visitor.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})
afterAll(async () => await stage[Symbol.asyncDispose]())

describe('accounts and the office in a real browser', () => {
  test('a forgotten password is set anew by the mailed link, and a code by mail opens the door too', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Fred Forgetful')
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await page.goto('/login')
    await page.getByRole('link', { name: 'Forgot your password?' }).click()
    await page.getByLabel('Email').fill(credentials.email)
    await page.getByRole('button', { name: 'Mail me a link' }).click()
    await page.getByText('a link is on its way').waitFor()
    await page.goto(`/reset#token=${await mailedToken(stage.shop, credentials.email, '/reset')}`)
    await page.getByLabel('New password').fill('aaaaaaaaaaaaaaaa')
    await page.getByRole('button', { name: 'Set the password' }).click()
    await page.getByText('The password is too easy to guess').waitFor()
    const password = 'a wholly different sentence'
    await page.getByLabel('New password').fill(password)
    await page.getByRole('button', { name: 'Set the password' }).click()
    await visitor.seeHeading('Sign in')
    await visitor.fillLogIn({ email: credentials.email, password })
    await visitor.openFromMenu('Account')
    await page.getByRole('main').getByRole('button', { name: 'Sign out', exact: true }).click()
    await visitor.seeHeading('Sign in')

    await page.getByRole('link', { name: 'With a code by mail' }).click()
    await page.getByLabel('Email').fill(credentials.email)
    await page.getByRole('button', { name: 'Send me a code' }).click()
    await page.getByLabel('Six-digit code').fill(await mailedCode(stage.shop, credentials.email, /sign-in code/))
    await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('button', { name: 'Your menu' }).click()
    expect(await page.locator('.menu-name').textContent()).toBe(credentials.name)
  })

  test('an address is enough to register: its mailed code signs in, and a password can be set later', async () => {
    const { email, password } = newCredentials('Nora Nopassword')
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await page.goto('/register')
    await page.getByRole('link', { name: 'Without a password' }).click()
    await page.getByText('We mail you a code each time').waitFor()
    expect(await page.getByLabel('Password').count()).toBe(0)
    await visitor.photograph('register-without-password')
    await page.getByLabel('Name').fill('Nora Nopassword')
    await page.getByLabel('Email').fill(email)
    await page.getByRole('button', { name: 'Register' }).click()
    await page.getByText('Enter the code from the mail here').waitFor()
    await visitor.photograph('register-enter-code')
    // A phone throws the tab away while its owner reads the mail.
    await page.reload()
    await page.getByText('Enter the code from the mail here').waitFor()
    await page.getByLabel('Six-digit code').fill(await mailedCode(stage.shop, email, /./))
    await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('button', { name: 'Your menu' }).click()
    expect(await page.locator('.menu-name').textContent()).toBe('Nora Nopassword')

    const person = new Person(stage.shop)
    await person.post('/auth/password/forgot', { email })
    const token = await mailedToken(stage.shop, email, '/reset')
    expect((await person.post('/auth/password/reset', { token, password })).status).toBe(204)
    await person.signIn({ email, password, name: 'Nora Nopassword' })
  })

  test('logging out everywhere ends the other sessions and this one', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Ella Everywhere')
    const elsewhere = new Person(stage.shop)
    await elsewhere.signIn(credentials)
    expect((await elsewhere.get('/profile')).status).toBe(200)
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(credentials)
    const otherTab = await visitor.newTab()
    await otherTab.goto('/my/orders')
    await otherTab.getByText('You have not ordered anything yet.').waitFor()
    await visitor.openFromMenu('Account')
    await page.getByText('This device').waitFor()
    await page.getByRole('button', { name: 'Sign out everywhere' }).click()
    await visitor.seeHeading('Sign in')
    await otherTab.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor()
    await eventually(async () => {
      expect((await elsewhere.get('/profile')).status).toBe(401)
    })
    await page.reload()
    await visitor.seeHeading('Sign in')
  })

  test('a session survives a reload without any token that scripts can read', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Rita Reload')
    await using visitor = await Visitor.arrive(stage)
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
    const { credentials } = await newCustomer(stage.shop, 'Iris Interrupted')
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(credentials)
    await page.route('**/auth/refresh', async (route) => await route.fulfill({ status: 503, body: '' }))
    await page.goto('/my/orders')
    await page.getByText('We cannot check your session right now').first().waitFor()
    expect(page.url()).toContain('/my/orders')
    await page.unroute('**/auth/refresh')
    await page.getByText('You have not ordered anything yet.').waitFor()
  })

  test('logging out is not said to be done when the shop did not hear of it', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Olga Offline')
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(credentials)
    await page.route('**/auth/logout', async (route) => await route.fulfill({ status: 503, body: '' }))
    await visitor.openFromMenu('Account')
    const leave = page.getByRole('main').getByRole('button', { name: 'Sign out', exact: true })
    await leave.click()
    await page.getByText('You stay signed in').waitFor()
    await page.reload()
    await page.getByRole('button', { name: 'Your menu' }).waitFor()
    await page.unroute('**/auth/logout')
    await leave.click()
    await visitor.seeHeading('Sign in')
    expect(await page.context().cookies()).toEqual([])
  })

  test('a page whose script does not come says so, and comes when it is asked for again', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Lara Later')
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(credentials)
    await page.route('**/assets/account*.js', async (route) => await route.abort())
    await visitor.openFromMenu('Account')
    await visitor.seeHeading('This page could not be loaded')
    await page.getByText('The shop is not answering.').waitFor()
    expect(await page.title()).toBe('This page could not be loaded · saas')
    await page.unrouteAll()
    await page.getByRole('button', { name: 'Try again' }).click()
    await visitor.seeHeading('Account')
  })

  test('two managers: the later one is told and loses nothing', async () => {
    const id = await newProduct(stage.shop, stage.manager, { sku: 'VASE-1', name: 'Old vase', stock: 5, amount: 3000 })
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(stage.manager)
    await page.goto(`/manage/products/${id}`)
    await visitor.seeHeading('Edit Old vase')
    const other = new Person(stage.shop)
    await other.signIn(stage.manager)
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

  test('what a manager typed is there again when the session ended meanwhile', async () => {
    const id = await newProduct(stage.shop, stage.manager, { sku: 'RUG-1', name: 'Red rug', stock: 5, amount: 9000 })
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(stage.manager)
    await page.goto(`/manage/products/${id}`)
    await page.getByLabel('Description').fill('Woven by hand, which took ten minutes to write.')
    const [witness, elsewhere] = [new Person(stage.shop), new Person(stage.shop)]
    await witness.signIn(stage.manager)
    await elsewhere.signIn(stage.manager)
    await elsewhere.request('DELETE', '/auth/sessions')
    await eventually(async () => expect((await witness.get('/profile')).status).toBe(401))
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await visitor.seeHeading('Sign in')
    await visitor.fillLogIn(stage.manager)
    await visitor.seeHeading('Edit Red rug')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByText('Saved', { exact: true }).waitFor()
    expect((await elsewhere.get(`/product/${id}`)).body.description).toContain('ten minutes')
  })

  test('an administrator sees mails, lag, dead letters and people', async () => {
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(stage.admin)
    await visitor.openFromMenu('Operate')
    await page.getByRole('rowheader', { name: 'Verify address' }).first().waitFor()
    await visitor.photograph('30-mails')
    await page.getByRole('link', { name: 'Lag' }).click()
    await page.getByText('Messages on the stream').nth(3).waitFor()
    await visitor.photograph('31-lag')
    await page.getByRole('link', { name: 'Dead letters' }).click()
    await page.getByText('No dead letters. All is well.').nth(3).waitFor()
    await page.getByRole('link', { name: 'Users' }).click()
    const manager = page.getByRole('row', { name: stage.manager.email })
    await manager.waitFor()
    expect(await manager.getByRole('checkbox', { name: 'Manager' }).isChecked()).toBe(true)
    await visitor.photograph('32-users')
  })

  test('speaks German to those who ask for it, and explains problems', async () => {
    await using visitor = await Visitor.arrive(stage, 'de-DE')
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
