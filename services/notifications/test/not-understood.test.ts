import { headers } from '@nats-io/transport-node'
import { v7 as uuidv7 } from 'uuid'
import { describe, expect, test } from 'vitest'
import { authEvents } from '@saas/contracts'
import { eventually } from '@saas/testing'
import { someUser, someVerification, startShop } from './fixtures.ts'

describe.concurrent('what cannot be understood', () => {
  test('an unknown event goes to the dead letters and the rest flows on', async () => {
    await using shop = await startShop()
    const first = someUser()
    await shop.publisher.publish(authEvents.registrationRepeated, first)
    await eventually(() => shop.smtp.accepted.length === 1)
    // As a newer version of this service would, running beside this one.
    const manager = await shop.bus.manager()
    const { config } = await manager.consumers.info('messages', 'notifications')
    await manager.consumers.update('messages', 'notifications', {
      filter_subjects: [...(config.filter_subjects ?? []), authEvents.sessionRevoked.subject],
    })
    await shop.publisher.publish(authEvents.sessionRevoked, { userId: first.userId, sessionId: null })
    await shop.publisher.publish(authEvents.passwordChanged, { userId: first.userId, email: 7 })
    const second = someUser()
    await shop.publisher.publish(authEvents.registrationRepeated, second)
    await eventually(() => shop.smtp.acceptedFor(second.email).length === 1)
    const letters = await eventually(async () => {
      const found = await shop.database.query<{ subject: string }>('select subject from dead_letter order by subject')
      expect(found).toHaveLength(2)
      return found
    })
    expect(letters.map(({ subject }) => subject)).toEqual([
      authEvents.passwordChanged.subject,
      authEvents.sessionRevoked.subject,
    ])
  })

  test('an event of a newer major version is a dead letter, and one with more fields is applied', async () => {
    await using shop = await startShop()
    const user = someUser()
    await shop.publisher.publish(authEvents.registrationRepeated, { ...user, addedLater: { anything: 1 } })
    await eventually(() => shop.smtp.acceptedFor(user.email).length === 1)
    const connection = await shop.bus.administrator()
    const newer = headers()
    const fields = { id: uuidv7(), type: `${authEvents.passwordChanged.type.slice(0, -1)}2`, subject: user.userId }
    const common = { specversion: '1.0', source: '/auth', time: new Date().toISOString(), aggregateversion: '1' }
    for (const [name, value] of Object.entries({ ...fields, ...common })) newer.set(`ce-${name}`, value)
    connection.publish(authEvents.passwordChanged.subject, JSON.stringify({ unheardOf: true }), { headers: newer })
    const [letter] = await eventually(async () => {
      const found = await shop.database.query<{ reason: string }>('select reason from dead_letter')
      expect(found).toHaveLength(1)
      return found
    })
    expect(letter?.reason).toMatch(/newer version: ce-type is not saas\.auth\.password\.changed\.v1$/)
  })

  test('a mail that lacks a value its template names is dead with that name, and others are sent', async () => {
    await using shop = await startShop()
    // As a mail written by another version may be.
    await shop.database.query(
      `insert into mail (
         id, natural_key, kind, user_id, email, name, language, data, has_secret, due_at, gives_up_at, created_at
       )
       values (uuidv7(), 'x', 'new-sign-in', uuidv7(), 'a@example.com', 'Ada', 'en', '{"openedAt": "2026-01-01T12:00:00Z"}',
         false, now() - interval '1 minute', now() + interval '2 days', now())`,
    )
    const user = someUser()
    await shop.publisher.publish(authEvents.registrationRepeated, user)
    await eventually(() => shop.smtp.acceptedFor(user.email).length === 1)
    const [row] = await eventually(async () => {
      const dead = (await shop.rows()).filter(({ status }) => status === 'dead')
      expect(dead).toHaveLength(1)
      return dead
    })
    expect(row?.last_error).toMatch(/^the mail cannot be made: /)
  })

  test('a mail that was sealed before or after the key was replaced is opened all the same', async () => {
    const accepted = new Uint8Array(32).fill(5)
    await using shop = await startShop({ mailSecretKeyAccepted: accepted })
    for (const [email, key] of [
      ['a@example.com', undefined],
      ['b@example.com', accepted],
    ] as const) {
      const request = await someVerification(email, key === undefined ? {} : { key })
      await shop.publisher.publish(authEvents.verificationRequested, request)
      await eventually(() => expect(shop.smtp.acceptedFor(email)).toHaveLength(1))
    }
  })

  test('a mail whose secret cannot be opened is kept until it expires, and others are sent', async () => {
    await using shop = await startShop()
    const wrongKey = new Uint8Array(32)
    await shop.publisher.publish(
      authEvents.verificationRequested,
      await someVerification('a@example.com', { key: wrongKey }),
    )
    await shop.publisher.publish(authEvents.verificationRequested, await someVerification('b@example.com'))
    await eventually(() => shop.smtp.acceptedFor('b@example.com').length === 1)
    const closed = async () => (await shop.rows()).find(({ email }) => email === 'a@example.com')
    await eventually(async () => {
      expect((await closed())?.last_error).toMatch(/cannot be opened/)
    })
    expect(await closed()).toMatchObject({ status: 'due' })
    await shop.drain()
    expect(await closed()).toMatchObject({ status: 'dead', secret: null })
  })
})
