import { expect, test } from 'vitest'
import { authEvents, notificationsRoutes, operatorRoutes, ordersEvents } from '@saas/contracts'
import { eventually } from '@saas/testing'
import { someOrder, someUser, someVerification, startShop, type Shop } from './fixtures.ts'

const admin = { roles: ['admin'] }
const refusal = { recipientCode: 550, words: '5.1.1 No such mailbox' }
const { listMails, resendMail } = notificationsRoutes

test('operators list mails newest first, by pages, state and address', async () => {
  await using shop = await startShop({ behave: (to) => (to.startsWith('gone') ? refusal : 'accept') })
  const emails = ['gone@example.com', 'b@example.com', 'c@example.com', 'd@example.com']
  for (const email of emails) {
    await shop.publisher.publish(authEvents.registrationRepeated, someUser({ email }))
    await eventually(async () => (await shop.rows()).some((row) => row.email === email && row.status !== 'due'))
    // Ids carry the time of the service's clock.
    shop.notifications.clock.advance(10)
  }
  const first = await shop.notifications.call(listMails, { query: { limit: 3 }, as: admin })
  expect(first.body.items.map((mail: { email: string }) => mail.email)).toEqual(emails.slice(1).toReversed())
  const second = await shop.notifications.call(listMails, { query: { limit: 3, cursor: first.body.next }, as: admin })
  expect(second.body).toMatchObject({ items: [{ email: 'gone@example.com' }], next: null })

  const dead = await shop.notifications.call(listMails, { query: { status: 'dead' }, as: admin })
  expect(dead.body.items).toMatchObject([{ status: 'dead', lastError: '550 5.1.1 No such mailbox', sentAt: null }])
  const ofC = await shop.notifications.call(listMails, { query: { email: 'C@example.com' }, as: admin })
  expect(ofC.body.items).toMatchObject([{ email: 'c@example.com', status: 'sent', attempts: 1 }])
  const wrong = await shop.notifications.call(listMails, { query: { cursor: 'x' }, as: admin })
  expect(wrong).toMatchObject({ status: 400, body: { errors: [{ pointer: '/query/cursor' }] } })
})

test('an order mail can be found by the address it is going to', async () => {
  await using shop = await startShop({ behave: () => ({ recipientCode: 450, words: '4.2.1 Busy' }) })
  const user = someUser()
  await shop.publisher.publish(authEvents.userChanged, user)
  await shop.publisher.publish(ordersEvents.orderConfirmed, someOrder(user.userId))
  await eventually(async () => {
    const { body } = await shop.notifications.call(listMails, { query: { email: user.email }, as: admin })
    expect(body.items).toMatchObject([{ kind: 'order-confirmed', status: 'due', email: user.email }])
  })
})

test('a dead mail is sent when an operator says so, and only once', async () => {
  await using shop = await startShop({ behave: () => refusal })
  const user = someUser()
  const id = await deadMail(shop, async () => {
    await shop.publisher.publish(authEvents.registrationRepeated, user)
  })
  shop.smtp.behave = () => 'accept'
  const answer = await shop.notifications.call(resendMail, { params: { id }, as: admin })
  expect(answer).toMatchObject({ status: 200, body: { id } })
  await eventually(() => shop.smtp.acceptedFor(user.email).length === 1)
  await eventually(async () => (await shop.rows())[0]?.status === 'sent')
  const again = await shop.notifications.call(resendMail, { params: { id }, as: admin })
  expect(again).toMatchObject({ status: 200, body: { status: 'sent' } })
  expect(shop.smtp.accepted).toHaveLength(1)
})

test('a mail whose code was erased is not sent again', async () => {
  await using shop = await startShop({ behave: () => refusal })
  const verification = await someVerification('gone@example.com')
  const id = await deadMail(shop, async () => {
    await shop.publisher.publish(authEvents.verificationRequested, verification)
  })
  const answer = await shop.notifications.call(resendMail, { params: { id }, as: admin })
  expect(answer).toMatchObject({ status: 409, body: { type: expect.stringMatching('/problems/mail-not-resendable$') } })
  const unknown = await shop.notifications.call(resendMail, { params: { id: verification.userId }, as: admin })
  expect(unknown.status).toBe(404)
})

test('a dead letter can be listed and replayed, and its mail is then sent', async () => {
  await using shop = await startShop()
  const { listDeadLetters, replayDeadLetter, getLag } = operatorRoutes('notifications')
  const user = someUser({ email: 'not an address@example.com' })
  await shop.publisher.publish(authEvents.registrationRepeated, user)
  const letter = await eventually(async () => {
    const { body } = await shop.notifications.call(listDeadLetters, { as: admin })
    return body.items[0] ?? false
  })
  expect(letter).toMatchObject({ consumer: 'notifications', subject: authEvents.registrationRepeated.subject })
  const still = await shop.notifications.call(replayDeadLetter, { params: { id: letter.id }, as: admin })
  expect(still.body).toMatchObject({ replayedAt: null })
  const fixed = JSON.stringify({ ...user, email: 'an-address@example.com' })
  await shop.database.query('update dead_letter set body = $1', [Buffer.from(fixed)])
  const replayed = await shop.notifications.call(replayDeadLetter, { params: { id: letter.id }, as: admin })
  expect(replayed.body.replayedAt).not.toBeNull()
  await eventually(() => shop.smtp.acceptedFor('an-address@example.com').length === 1)
  const lag = await shop.notifications.call(getLag, { as: admin })
  expect(lag.body).toMatchObject({ outboxPending: 0, consumers: [{ durable: 'notifications', pending: 0 }] })
})

test('a dead letter can be dismissed with a reason, and reopened to be replayed', async () => {
  await using shop = await startShop()
  const { listDeadLetters, replayDeadLetter, dismissDeadLetter, reopenDeadLetter } = operatorRoutes('notifications')
  await shop.publisher.publish(authEvents.registrationRepeated, someUser({ email: 'not an address@example.com' }))
  const open = { query: { status: 'open' as const }, as: admin }
  const { id } = await eventually(async () => {
    const { body } = await shop.notifications.call(listDeadLetters, open)
    return body.items[0] ?? false
  })
  const body = { reason: 'Nobody has that address' }
  const dismissed = await shop.notifications.call(dismissDeadLetter, { params: { id }, body, as: admin })
  expect(dismissed).toMatchObject({ status: 200, body: { dismissal: { ...body, at: expect.any(String) } } })
  expect((await shop.notifications.call(listDeadLetters, open)).body.items).toEqual([])
  const replayed = await shop.notifications.call(replayDeadLetter, { params: { id }, as: admin })
  expect(replayed).toMatchObject({ status: 409, body: { type: expect.stringMatching('/problems/dead-letter-ended$') } })
  const reopened = await shop.notifications.call(reopenDeadLetter, { params: { id }, as: admin })
  expect(reopened).toMatchObject({ status: 200, body: { dismissal: null } })
  const still = await shop.notifications.call(replayDeadLetter, { params: { id }, as: admin })
  expect(still).toMatchObject({ status: 200, body: { replayedAt: null } })
})

test('nobody but an administrator sees a mail', async () => {
  await using shop = await startShop()
  for (const roles of [['customer'], ['manager']]) {
    expect((await shop.notifications.call(listMails, { as: { roles } })).status).toBe(403)
  }
  expect((await shop.notifications.call(listMails)).status).toBe(403)
})

async function deadMail(shop: Shop, publish: () => Promise<void>): Promise<string> {
  await publish()
  return await eventually(async () => {
    const [row] = await shop.rows()
    return row?.status === 'dead' ? row.id : false
  })
}
