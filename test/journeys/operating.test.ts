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
  await page.getByRole('row', { name: /Sales of the day before.*UTC/ }).waitFor()
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
  expect(await row.textContent()).toContain('2031-06-01 09:00')
  await row.getByRole('button', { name: 'Pause: Tea time' }).click()
  await row.getByText('Paused').waitFor()
  await row.getByRole('button', { name: 'Cancel', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel', exact: true }).click()
  await row.getByText('Cancelled').waitFor()
  await visitor.photograph('33-schedules')
})
