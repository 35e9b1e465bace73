import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { authEvents } from '@saas/contracts'
import { eventually } from '@saas/testing'
import { DOMAIN_SENDING_MAX } from '../src/places.ts'
import { SENDING_MAX } from '../src/smtp.ts'
import { someUser, startShop } from './fixtures.ts'
import type { Behaviour } from './smtp-sink.ts'

test('a domain that takes its time holds up no other, and gets no more than its share at once', async () => {
  const release = Promise.withResolvers<Behaviour>()
  let [slowNow, slowMost] = [0, 0]
  const behave = async (to: string): Promise<Behaviour> => {
    if (!to.endsWith('@slow.example')) return 'accept'
    slowNow += 1
    slowMost = Math.max(slowMost, slowNow)
    await release.promise
    slowNow -= 1
    return 'accept'
  }
  await using shop = await startShop({ behave })
  const slow = Array.from({ length: 60 }, (_, index) => `s${index}@slow.example`)
  const quick = Array.from({ length: 20 }, (_, index) => `q${index}@quick-${index % 3}.example`)
  for (const email of [...slow, ...quick]) {
    await shop.publisher.publish(authEvents.registrationRepeated, someUser({ email }))
  }
  await eventually(() => quick.every((email) => shop.smtp.acceptedFor(email).length === 1))
  expect(shop.smtp.accepted).toHaveLength(quick.length)
  expect(slowMost).toBe(DOMAIN_SENDING_MAX)
  release.resolve('accept')
  await shop.drain(1_000)
  expect(slowMost).toBe(DOMAIN_SENDING_MAX)
  for (const email of slow) expect(shop.smtp.acceptedFor(email)).toHaveLength(1)
})

test('what waits for a place when the service stops is given back untried, for another replica to send', async () => {
  const release = Promise.withResolvers<Behaviour>()
  await using shop = await startShop({ behave: () => release.promise })
  // As many as are sent at once, and some that a courier holds besides.
  const users = Array.from({ length: SENDING_MAX + 4 }, (_, index) =>
    someUser({ email: `u${index}@d${index}.example` }),
  )
  for (const user of users) await shop.publisher.publish(authEvents.registrationRepeated, user)
  await eventually(async () => (await shop.rows()).filter(({ lease }) => lease !== null).length === users.length)
  const { hostname, port } = new URL(shop.notifications.url)
  const request = connect(Number(port), hostname)
  await once(request, 'connect')
  request.write('POST /admin/notifications/schedule HTTP/1.1\r\nhost: shop\r\ncontent-length: 2\r\n\r\n{')
  const restarted = shop.notifications.restart()
  await eventually(async () => (await shop.rows()).some(({ lease, attempts }) => lease === null && attempts === 0))
  // Nor does that wait for requests that are still to end.
  expect(request.readyState).toBe('open')
  request.destroy()
  release.resolve('accept')
  await restarted
  await shop.drain(1_000)
  expect(shop.smtp.accepted.map(({ to }) => to).toSorted()).toEqual(users.map(({ email }) => email).toSorted())
  for (const row of await shop.rows()) expect(row.attempts).toBe(1)
})

test('the metrics say how many mails were queued, sent, tried again and given up, and how long they took', async () => {
  const behave = (to: string, attempt: number): Behaviour => {
    if (to.startsWith('unknown')) return { recipientCode: 550, words: '5.1.1 No such mailbox' }
    return to.startsWith('later') && attempt === 1 ? { recipientCode: 451, words: '4.7.1 Later' } : 'accept'
  }
  await using shop = await startShop({ behave })
  for (const email of ['a@example.com', 'later@example.com', 'unknown@example.com']) {
    await shop.publisher.publish(authEvents.registrationRepeated, someUser({ email }))
  }
  await eventually(async () => (await shop.rows()).length === 3)
  await shop.drain()
  const text = await (await fetch(`${shop.notifications.opsUrl}/metrics`)).text()
  const value = (name: string): number =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(name))
        ?.split(' ')
        .at(-1),
    )
  const count = (outcome: string): number => value(`saas_mails_total{kind="already-registered",outcome="${outcome}"}`)
  expect(['queued', 'sent', 'failed', 'dead'].map(count)).toEqual([3, 2, 1, 1])
  expect(value('saas_mail_wait_seconds_count{kind="already-registered"}')).toBe(2)
  expect(value('saas_mails_due')).toBe(0)
  expect(value('saas_mail_overdue_seconds')).toBe(0)
  expect(text).toMatch(/saas_smtp_attempt_seconds_count\{server="127\.0\.0\.1:\d+",outcome="refused"\} 1/)
})
