import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStage, type Stage } from './src/stage.ts'
import { Visitor } from './src/visitor.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})
afterAll(async () => await stage[Symbol.asyncDispose]())

test('an administrator schedules an announcement, pauses it and cancels it', async () => {
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await page.goto('/login')
  await visitor.fillLogIn(stage.admin)
  await page.getByRole('button', { name: 'Your menu' }).waitFor()
  await page.goto('/operate?show=schedules')
  await page.getByRole('row', { name: /Sales of the day before.*Every day at 07:00.*UTC/ }).waitFor()
  await page.getByLabel('Date and time').fill('2031-06-01T09:00')
  const english = page.getByRole('group', { name: 'English' })
  await english.getByLabel('Title').fill('Tea time')
  await english.getByLabel('Text').fill('It is time.')
  const german = page.getByRole('group', { name: 'German' })
  await german.getByLabel('Title').fill('Teezeit')
  await german.getByLabel('Text').fill('Es ist Zeit.')
  await page.getByRole('button', { name: 'Schedule', exact: true }).click()
  const row = page.getByRole('row', { name: /Tea time/ })
  await row.getByText('Active').waitFor()
  expect(await row.textContent()).toContain('1 Jun 2031, 09:00')
  await row.getByRole('button', { name: 'Pause: Tea time' }).click()
  await row.getByText('Paused').waitFor()
  await row.getByRole('button', { name: 'Cancel', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel', exact: true }).click()
  await row.getByText('Cancelled').waitFor()
  await visitor.photograph('33-schedules')
})

test('an administrator finds a dead mail, sends it again, and sees which messages can be applied now', async () => {
  await stage.shop.makeTrouble()
  await using visitor = await Visitor.arrive(stage)
  const { page } = visitor
  await visitor.logIn(stage.admin)
  await page.goto('/operate')
  await page.getByRole('combobox').selectOption('Dead')
  const mail = page.getByRole('row', { name: /full@example\.com/ })
  await mail.getByText('552 5.2.2 The mailbox is full').waitFor()
  await visitor.photograph('34-dead-mails')
  await mail.getByRole('button', { name: 'Try again' }).click()
  await page.getByText('The mail is due again.').waitFor()
  await page.getByRole('combobox').selectOption('All')
  await page.getByRole('searchbox').fill('full@example.com')
  await page.getByRole('searchbox').press('Enter')
  await mail.waitFor()
  // The heads and the one that was found.
  await page.getByRole('row').nth(2).waitFor({ state: 'detached' })
  expect((await stage.shop.mailbox.waitForMail('full@example.com')).to).toContain('full@example.com')

  await page.getByRole('link', { name: 'Dead letters' }).click()
  const letters = page.getByRole('region', { name: 'notifications' })
  const letter = (of: RegExp) => letters.getByRole('listitem').filter({ hasText: of })
  await page.getByRole('region').nth(3).waitFor()
  await letter(/late@example/)
    .getByRole('button', { name: 'Replay' })
    .click()
  await letter(/late@example/)
    .getByText(/^Replayed /)
    .waitFor()
  await stage.shop.mailbox.waitForMail('late@example.com')
  await letter(/nobody/)
    .getByRole('button', { name: 'Replay' })
    .click()
  await page.getByText('The message still cannot be applied.').waitFor()
  await letter(/nobody/)
    .getByText('The database was in a mood')
    .waitFor({ state: 'detached' })
  await visitor.photograph('35-dead-letters')

  await page.getByRole('link', { name: 'Lag' }).click()
  const lag = page.getByRole('region', { name: 'notifications' })
  await lag.getByText('Messages on the stream').waitFor()
  await page.getByRole('region').nth(3).waitFor()
  await visitor.photograph('36-lag')

  await page.getByRole('button', { name: 'Deutsch' }).click()
  await page.locator('html[lang=de]').waitFor()
  const german = { mails: 'Mails', schedules: 'Zeitpläne', deadLetters: 'Unzustellbares', lag: 'Rückstand' }
  for (const [section, heading] of Object.entries(german)) {
    await page.goto(`/operate?show=${section}`)
    await page.getByRole('heading', { level: 2, name: heading }).waitFor()
    await page.waitForLoadState('networkidle')
    await visitor.photograph(`37-${section}-german`)
  }
  // It is the administrator's own setting, and others sign in as the same.
  await page.getByRole('button', { name: 'English' }).click()
  await page.locator('html[lang=en]').waitFor()
})
