import { v7 as uuidv7 } from 'uuid'
import { authEvents, exportEvents } from '@saas/contracts'
import { eventually } from '@saas/testing'
import { expect, test } from 'vitest'
import { someUser, startShop } from './fixtures.ts'

test('an export names every mail to a person, without what was secret in it, and nobody else’s', async () => {
  await using shop = await startShop()
  const [user, other] = [someUser({ email: 'ada@example.com' }), someUser({ email: 'bob@example.com' })]
  await shop.publisher.publish(authEvents.registrationRepeated, user)
  await shop.publisher.publish(authEvents.registrationRepeated, other)
  // Not when the server has them: that they were sent is written down after it.
  const sent = `select from mail where status = 'sent'`
  await eventually(async () => (await shop.database.query(sent)).length === 2)
  const exportId = uuidv7()
  const request = { exportId, userId: user.userId, requestedAt: new Date().toISOString() }
  await shop.publisher.publish(authEvents.exportRequested, request)
  const data = await eventually(async () => {
    const [row] = await shop.database.query<{ data: { items: unknown[] } }>(
      'select data from outbox where subject = $1 and aggregate_id = $2',
      [exportEvents.notificationsExportPartMade.subject, exportId],
    )
    return row?.data ?? false
  })
  expect(data).toMatchObject({
    exportId,
    userId: user.userId,
    part: 1,
    parts: 1,
    items: [{ kind: 'already-registered', status: 'sent', email: 'ada@example.com' }],
  })
  expect(data.items).toHaveLength(1)
})
