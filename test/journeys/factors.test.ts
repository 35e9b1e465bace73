import { CLIENT, startIdentityProvider, type IdentityProvider } from '@saas/auth/test/identity-provider.ts'
import { Authenticator } from '@saas/devstack'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Person, newCustomer, type Credentials } from './src/person.ts'
import { openStage, type Stage } from './src/stage.ts'
import { Visitor } from './src/visitor.ts'

let stage: Stage

let provider: IdentityProvider

beforeAll(async () => {
  stage = await openStage(async (publicUrl) => {
    provider = await startIdentityProvider([`${publicUrl}/oidc/example`])
    return [{ ...CLIENT, id: 'example', name: 'Example', issuer: provider.issuer, trustEmail: true }]
  })
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})

/** A browser with an authenticator of its own, which its owner unlocks at once. */
async function withPasskeys(visitor: Visitor): Promise<void> {
  const session = await visitor.page.context().newCDPSession(visitor.page)
  await session.send('WebAuthn.enable')
  await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
}

/** Sets an app up on the account page, by what a person can read there. */
async function setUpApp(visitor: Visitor): Promise<Authenticator> {
  const { page } = visitor
  await page.getByRole('button', { name: 'Set up an app' }).click()
  await page.getByRole('img', { name: 'QR code for the authenticator app' }).waitFor()
  const secret = ((await page.locator('code.secret').textContent()) ?? '').replaceAll(' ', '')
  const app = new Authenticator(secret, [])
  await visitor.photograph('50-authenticator')
  const proof = await app.proof()
  await page.getByLabel('Code from the app').fill('code' in proof ? proof.code : '')
  await page.getByRole('button', { name: 'Confirm' }).click()
  await page.getByRole('heading', { name: 'Your recovery codes' }).waitFor()
  await visitor.photograph('51-recovery-codes')
  app.recoveryCodes.push(...(await page.locator('.recovery-codes li').allTextContents()))
  await page.getByRole('button', { name: 'I have kept them' }).click()
  return app
}

describe('ways to sign in, in a real browser', () => {
  test('an authenticator app is set up, asked for at the next sign-in, and a recovery code stands in for it', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Tina Totp')
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(credentials)
    await visitor.openFromMenu('Account')
    const authenticator = await setUpApp(visitor)
    expect(authenticator.recoveryCodes).toHaveLength(10)
    await page.getByText('10 codes are left.').waitFor()
    await page.getByRole('main').getByRole('button', { name: 'Sign out', exact: true }).click()
    await visitor.seeHeading('Sign in')
    await visitor.fillLogIn(credentials)
    await visitor.seeHeading('One more step')
    await visitor.photograph('52-second-factor')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await visitor.logIn({ ...credentials, authenticator })
    await visitor.openFromMenu('Account')
    await page.getByRole('main').getByRole('button', { name: 'Sign out', exact: true }).click()
    await visitor.seeHeading('Sign in')
    await visitor.logIn({ ...credentials, authenticator: authenticator.lost() })
    await visitor.openFromMenu('Account')
    await page.getByText('9 codes are left.').waitFor()
  })

  test('a passkey is added, renamed, signs in alone and is removed', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Paul Passkey')
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await withPasskeys(visitor)
    await visitor.logIn(credentials)
    await visitor.openFromMenu('Account')
    await page.getByRole('button', { name: 'Add a passkey' }).click()
    await page.getByLabel('Name').last().fill('My laptop')
    await page.getByRole('button', { name: 'Create the passkey' }).click()
    await page.getByRole('button', { name: 'I have kept them' }).click()
    await page.getByRole('button', { name: 'Rename: My laptop' }).waitFor()
    await visitor.photograph('53-passkeys')
    await page.getByRole('main').getByRole('button', { name: 'Sign out', exact: true }).click()
    await visitor.seeHeading('Sign in')
    await visitor.photograph('54-log-in')
    await page.getByRole('button', { name: 'Use a passkey' }).click()
    await visitor.openFromMenu('Account')
    await page.getByRole('button', { name: 'Rename: My laptop' }).waitFor()
    await page.getByRole('listitem').getByRole('button', { name: 'Remove' }).first().click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await page.getByText('The passkey is removed.').waitFor()
    expect(await page.getByRole('button', { name: 'Rename: My laptop' }).count()).toBe(0)
  })

  test('a provider signs somebody new in, and another one is linked on the account page and unlinked', async () => {
    provider.user = { sub: 'olga', email: 'olga@example.com', email_verified: true, name: 'Olga OpenID' }
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await page.goto('/login')
    await page.getByRole('button', { name: 'Continue with Example' }).waitFor()
    await visitor.photograph('55-providers')
    await page.getByRole('button', { name: 'Continue with Example' }).click()
    await page.getByRole('button', { name: 'Your menu' }).waitFor()
    expect(new URL(page.url()).search).toBe('')
    await visitor.openFromMenu('Account')
    expect(await page.getByLabel('Name').first().inputValue()).toBe('Olga OpenID')
    const { credentials } = await newCustomer(stage.shop, 'Lena Link')
    provider.user = { sub: 'lena', email: 'lena@example.org', email_verified: false }
    await using other = await Visitor.arrive(stage)
    await other.logIn(credentials)
    await other.openFromMenu('Account')
    await other.page.getByRole('button', { name: 'Link Example' }).click()
    await other.page.getByText('lena@example.org').waitFor()
    await other.photograph('56-linked')
    await other.page.getByRole('button', { name: 'Unlink: Example' }).click()
    await other.page.getByText('The link is gone.').waitFor()
  })

  test('whoever has a second factor shows it again before the address or the password changes or the account goes', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Rita Reproof')
    const next = `moved-${credentials.email}`
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await withPasskeys(visitor)
    await visitor.logIn(credentials)
    await visitor.openFromMenu('Account')
    const authenticator = await setUpApp(visitor)
    await page.getByRole('button', { name: 'Add a passkey' }).click()
    await page.getByLabel('Name').last().fill('My laptop')
    await page.getByRole('button', { name: 'Create the passkey' }).click()
    await page.getByRole('button', { name: 'Rename: My laptop' }).waitFor()
    const password = page.getByLabel('Current password', { exact: true })

    // A code of the app, after a wrong one.
    await stage.shop.ageProofs()
    const email = page.getByRole('region', { name: 'Email address' })
    await email.getByRole('button', { name: 'Change the address' }).click()
    await email.getByLabel('New address').fill(next)
    await email.getByLabel('Current password').fill(credentials.password)
    await email.getByRole('button', { name: 'Change the address' }).click()
    await email.getByText('confirm once more that it is you').waitFor()
    await visitor.photograph('57-prove-again')
    await email.getByLabel('Code from the app').fill('000000')
    await email.getByRole('button', { name: 'Continue' }).click()
    await email.getByRole('alert').waitFor()
    const proof = await authenticator.proof()
    await email.getByLabel('Code from the app').fill('code' in proof ? proof.code : '')
    await email.getByRole('button', { name: 'Continue' }).click()
    await email.getByText('A link and a code are on their way').waitFor()

    // A passkey.
    await stage.shop.ageProofs()
    const newPassword = `${credentials.password} and more`
    const change = page.getByRole('region', { name: 'Change the password' })
    await change.getByLabel('Current password').fill(credentials.password)
    await change.getByLabel('New password').fill(newPassword)
    await change.getByRole('button', { name: 'Change the password' }).click()
    await change.getByRole('button', { name: 'Use a passkey' }).click()
    await page.getByText('Your password was changed').first().waitFor()

    // What is wrong besides is said afterwards, with what was typed still there.
    await stage.shop.ageProofs()
    await page.getByRole('button', { name: 'Delete my account' }).click()
    const leaving = page.getByRole('region', { name: 'Delete the account' })
    await leaving.getByLabel('Current password').fill('not the password')
    await leaving.getByRole('button', { name: 'Delete for good' }).click()
    await leaving.getByRole('button', { name: 'Use a passkey' }).click()
    await page.getByText('The email, password or code is not right').first().waitFor()
    await visitor.photograph('58-leaving')

    // A recovery code.
    await stage.shop.ageProofs()
    await leaving.getByLabel('Current password').fill(newPassword)
    await leaving.getByRole('button', { name: 'Delete for good' }).click()
    await leaving.getByRole('button', { name: 'Use a recovery code' }).click()
    await leaving.getByLabel('Recovery code').fill(authenticator.recoveryCodes[0] ?? '')
    await leaving.getByRole('button', { name: 'Continue' }).click()
    await page.getByText('Your account is deleted.').first().waitFor()
    expect(await password.count()).toBe(0)
  })

  test('an administrator takes the second factors of somebody who lost them away, who is told', async () => {
    const customer = await newCustomer(stage.shop, 'Lotte Lost')
    const { credentials } = customer
    await customer.addAuthenticator()
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(stage.admin)
    await page.goto('/operate?show=users')
    await page.getByRole('searchbox').fill(credentials.email)
    await page.getByRole('searchbox').press('Enter')
    const row = page.getByRole('row', { name: credentials.email })
    await row.getByRole('button', { name: 'Reset sign-in' }).click()
    await page.getByRole('dialog').getByText('Remove every second factor').waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Reset sign-in' }).click()
    await page.getByText('now signs in with the password alone').first().waitFor()
    await visitor.photograph('59-users')
    await page.goto('/operate?show=audit')
    await page.getByRole('cell', { name: 'every' }).first().waitFor()
    await visitor.photograph('60-audit')
    await using lotte = await Visitor.arrive(stage)
    await lotte.logIn(credentials)
    const told = await stage.shop.mailbox.waitForMail(credentials.email, ({ text }) => text.includes('administrator'))
    expect(told.text).toContain('were taken away by an administrator')
  })

  test('a new administrator can do what customers can until a second factor is set up', async () => {
    const { credentials } = await newCustomer(stage.shop, 'Nina New')
    const boss = new Person(stage.shop)
    await boss.signIn(stage.admin)
    const found = await boss.get(`/auth/users?q=${encodeURIComponent(credentials.email)}`)
    await boss.request('PUT', `/auth/users/${found.body.items[0].id}/roles`, { body: { roles: ['admin'] } })
    const novice = new Person(stage.shop)
    await novice.signIn(credentials satisfies Credentials)
    const refused = await novice.get('/auth/users')
    expect(refused).toMatchObject({ status: 403, body: { type: '/problems/second-factor-required' } })
    await using visitor = await Visitor.arrive(stage)
    const { page } = visitor
    await visitor.logIn(credentials)
    await page.goto('/operate')
    await visitor.seeHeading('One more thing to set up')
    await page.getByRole('main').getByRole('link', { name: 'Set it up' }).click()
    await setUpApp(visitor)
    await page.goto('/operate')
    await page.getByRole('link', { name: 'Users' }).waitFor()
  })
})
