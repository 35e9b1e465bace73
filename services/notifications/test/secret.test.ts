import { expect, test } from 'vitest'
import { authEvents } from '@saas/contracts'
import { eventually } from '@saas/testing'
import { someUser, someVerification, startShop } from './fixtures.ts'
import type { Behaviour } from './smtp-sink.ts'

const MINUTE_MS = 60_000
const CODE = '902517'

test('a secret is gone from the row once the mail is sent', async () => {
  const release = Promise.withResolvers<Behaviour>()
  await using shop = await startShop({ behave: () => release.promise })
  await shop.publisher.publish(
    authEvents.verificationRequested,
    await someVerification('ada@example.com', { code: CODE }),
  )
  await eventually(() => shop.smtp.attempts('ada@example.com') === 1)
  const [before] = await shop.rows()
  expect(before?.secret?.split('.')).toHaveLength(5)
  release.resolve('accept')
  await eventually(async () => (await shop.rows())[0]?.status === 'sent')
  expect((await shop.rows())[0]?.secret).toBeNull()
  expect(shop.smtp.accepted[0]?.decoded).toContain(CODE)
})

test('a secret is gone from the row of a mail that was refused', async () => {
  await using shop = await startShop({ behave: () => ({ recipientCode: 550, words: '5.1.1 No such mailbox' }) })
  await shop.publisher.publish(authEvents.verificationRequested, await someVerification('ada@example.com'))
  await eventually(async () => (await shop.rows())[0]?.status === 'dead')
  expect((await shop.rows())[0]?.secret).toBeNull()
})

test('an expired code is not sent: its mail is dead and its secret gone', async () => {
  await using shop = await startShop({ behave: () => ({ recipientCode: 451, words: '4.7.1 Later' }) })
  await shop.publisher.publish(authEvents.verificationRequested, await someVerification('ada@example.com'))
  await eventually(async () => (await shop.rows())[0]?.last_error === '451 4.7.1 Later')
  shop.smtp.behave = () => 'accept'
  shop.notifications.clock.advance(11 * MINUTE_MS)
  await eventually(async () => {
    // A courier that is at work while time is moved goes to sleep afterwards.
    shop.notifications.clock.advance(1_000)
    return (await shop.rows())[0]?.status === 'dead'
  })
  const [row] = await shop.rows()
  expect(row).toMatchObject({ secret: null, attempts: 1 })
  expect(row?.last_error).toMatch(/^expired: .+; before that: 451 4\.7\.1 Later$/)
  expect(shop.smtp.accepted).toHaveLength(0)
})

test('a code that expired between two polls is not sent either', async () => {
  await using shop = await startShop({ behave: () => ({ recipientCode: 451, words: '4.7.1 Later' }) })
  const expiresAt = new Date(shop.notifications.clock.now().getTime() + 300)
  const verification = await someVerification('ada@example.com', { expiresAt })
  await shop.publisher.publish(authEvents.verificationRequested, verification)
  await eventually(async () => (await shop.rows())[0]?.last_error === '451 4.7.1 Later')
  shop.smtp.behave = () => 'accept'
  shop.notifications.clock.advance(400)
  // Its nudge makes the courier look for mails again before the next poll.
  await shop.publisher.publish(authEvents.registrationRepeated, someUser({ email: 'eve@example.com' }))
  await eventually(() => shop.smtp.acceptedFor('eve@example.com').length === 1)
  const row = (await shop.rows()).find(({ email }) => email === 'ada@example.com')
  expect(row?.attempts).toBe(1)
})

test('no code or link stands in a row or a log line', async () => {
  await using shop = await startShop()
  await shop.publisher.publish(
    authEvents.verificationRequested,
    await someVerification('ada@example.com', { code: CODE }),
  )
  await eventually(async () => (await shop.rows())[0]?.status === 'sent')
  const tables = await shop.database.query<{ dump: string }>(
    `select concat(
       (select string_agg(mail::text, ' ') from mail),
       (select string_agg(dead_letter::text, ' ') from dead_letter),
       (select string_agg(recipient::text, ' ') from recipient)
     ) as dump`,
  )
  for (const text of [tables[0]?.dump ?? '', shop.notifications.log.text()]) {
    expect(text).not.toContain(CODE)
    expect(text).not.toContain('#token=')
  }
})

test('the database itself refuses a secret in a mail that is no longer due', async () => {
  await using shop = await startShop()
  await shop.publisher.publish(authEvents.verificationRequested, await someVerification('ada@example.com'))
  await eventually(async () => (await shop.rows())[0]?.status === 'sent')
  await expect(shop.database.query(`update mail set secret = 'x'`)).rejects.toThrow(/mail_secret_only_while_due/)
})
