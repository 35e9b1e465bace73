import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { v7 as uuidv7 } from 'uuid'
import { describe, expect, test } from 'vitest'
import { authEvents, ordersEvents, type Event, type MailKind } from '@saas/contracts'
import { eventually } from '@saas/testing'
import { TEMPLATES } from '../src/templates.ts'
import { seal, someOrder, someUser, startShop } from './fixtures.ts'
import { SmtpSink, type Behaviour } from './smtp-sink.ts'

const MINUTE_MS = 60_000

describe.concurrent('every promised mail, once', () => {
  test('each event that promises a mail makes one of its kind, in the language of its reader', async () => {
    await using shop = await startShop()
    const secret = await seal({ code: '426913', link: 'http://localhost:8080/verify#token=live' })
    const expiresAt = new Date(Date.now() + 10 * MINUTE_MS).toISOString()
    const promises: Partial<Record<MailKind, Event>> = {
      'verify-address': authEvents.verificationRequested,
      'already-registered': authEvents.registrationRepeated,
      'login-code': authEvents.loginCodeRequested,
      'password-reset': authEvents.passwordResetRequested,
      'password-changed': authEvents.passwordChanged,
      'factor-changed': authEvents.factorChanged,
      'second-factor-failed': authEvents.secondFactorFailed,
      'new-sign-in': authEvents.sessionOpened,
      'email-change': authEvents.emailChangeRequested,
      'email-changed': authEvents.emailChanged,
      'order-confirmed': ordersEvents.orderConfirmed,
      'order-rejected': ordersEvents.orderRejected,
      'order-cancelled': ordersEvents.orderCancelled,
    }
    const users = [someUser({ language: 'en' }), someUser({ language: 'de' })]
    for (const user of users) {
      const own = { userId: user.userId, email: user.email, language: user.language, sessionId: user.userId }
      await shop.publisher.publish(authEvents.userChanged, user)
      for (const event of Object.values(promises)) {
        const example = event.example as Record<string, unknown>
        const sealed = 'secret' in example ? { secret, expiresAt } : {}
        const order = event.aggregate === 'order' ? { orderId: uuidv7() } : {}
        await shop.publisher.publish(event, { ...example, ...own, ...sealed, ...order, newDevice: true })
      }
    }
    const kinds = Object.keys(promises).toSorted()
    await eventually(() => shop.smtp.accepted.length >= kinds.length * users.length)
    const rows = await shop.rows()
    for (const { email, language } of users) {
      expect(
        rows
          .filter((row) => row.email === email)
          .map(({ kind }) => kind)
          .toSorted(),
      ).toEqual(kinds)
      for (const { raw } of shop.smtp.acceptedFor(email)) expect(raw).toContain(`\r\nContent-Language: ${language}\r\n`)
    }
    expect(shop.smtp.accepted).toHaveLength(kinds.length * users.length)
    expect(await shop.database.query('select 1 from dead_letter')).toEqual([])
  })

  test('a folder of templates that is added is a language in which mails are sent', async () => {
    const templatesDirectory = await mkdtemp(join(tmpdir(), 'templates-'))
    await using folders = new AsyncDisposableStack()
    folders.defer(async () => await rm(templatesDirectory, { recursive: true }))
    await cp(TEMPLATES, templatesDirectory, { recursive: true })
    await cp(join(TEMPLATES, 'en'), join(templatesDirectory, 'fr'), { recursive: true })
    await writeFile(join(templatesDirectory, 'fr/order-confirmed.subject'), 'Commande {{ order.shortId }} confirmée')
    await using shop = await startShop({ parts: { templatesDirectory } })
    const readers = ['fr', 'fr-CA', 'nl'].map((language) => someUser({ language }))
    for (const user of readers) {
      await shop.publisher.publish(authEvents.userChanged, user)
      await shop.publisher.publish(ordersEvents.orderConfirmed, someOrder(user.userId))
    }
    await eventually(() => shop.smtp.accepted.length === readers.length)
    const seen = readers.map(({ email }) => {
      const [mail] = shop.smtp.acceptedFor(email)
      return [/^Content-Language: (.*)\r$/m.exec(mail?.raw ?? '')?.[1], mail?.decoded.includes('9,80\u{a0}€')]
    })
    // Nobody's mail is lost for a language that is not there.
    expect(seen).toEqual([
      ['fr', true],
      ['fr', true],
      ['en', false],
    ])
  })

  test('an order mail goes out at once, in the words of its recipient, and names the order', async () => {
    await using shop = await startShop()
    const user = someUser({ name: 'Jürgen', language: 'de' })
    const order = someOrder(user.userId)
    await shop.publisher.publish(authEvents.userChanged, user)
    await shop.publisher.publish(ordersEvents.orderConfirmed, order)
    // The clock stands still, so no poll finds it: only the nudge after the commit does.
    const mail = await eventually(() => shop.smtp.acceptedFor(user.email)[0] ?? false)
    expect(mail.decoded).toContain(`http://localhost:8080/my/orders/${order.orderId}`)
    expect(mail.decoded).toContain('Danke, Jürgen!')
    expect(mail.decoded).toContain('9,80\u{a0}€')
    expect(mail.raw).toMatch(/^Auto-Submitted: auto-generated\r$/m)
    expect(mail.raw).toMatch(/^Date: .+ \+0000\r$/m)
    expect(mail.raw).not.toMatch(/^List-Unsubscribe/im)
    const [row] = await eventually(async () => {
      const rows = await shop.rows()
      expect(rows[0]?.status).toBe('sent')
      return rows
    })
    expect(mail.messageId).toBe(`<${row?.id}@shop.example>`)
  })

  test('every promised mail is accepted or dead with the server’s words', async () => {
    const behave = (to: string, attempt: number): Behaviour => {
      if (to.startsWith('unknown')) return { recipientCode: 550, words: '5.1.1 No such mailbox here' }
      if (to.startsWith('spam')) return { dataCode: 554, words: '5.7.1 Looks like spam' }
      if (to.startsWith('greylisted'))
        return attempt < 4 ? { recipientCode: 451, words: '4.7.1 Come back later' } : 'accept'
      if (to.startsWith('full')) return attempt < 3 ? { dataCode: 452, words: '4.2.2 Mailbox full' } : 'accept'
      if (to.startsWith('cut')) return attempt < 2 ? 'cut' : 'accept'
      return 'accept'
    }
    await using shop = await startShop({ behave })
    const names = ['fine', 'unknown', 'spam', 'greylisted', 'full', 'cut']
    const addresses = Array.from({ length: 30 }, (_, index) => `${names[index % names.length]}-${index}@example.com`)
    for (const email of addresses) {
      const user = someUser({ email })
      await shop.publisher.publish(authEvents.registrationRepeated, user)
    }
    await eventually(async () => (await shop.rows()).length === addresses.length)
    await shop.drain()
    const outcomes = (await shop.rows()).map((row) => ({
      kind: row.email?.split('-')[0],
      status: row.status,
      words: row.last_error,
      isTriedAgain: row.attempts > 1,
      accepted: shop.smtp.acceptedFor(row.email ?? '').map(({ messageId }) => messageId === `<${row.id}@shop.example>`),
    }))
    const sent = { status: 'sent', words: null, accepted: [true] }
    const dead = { status: 'dead', isTriedAgain: false, accepted: [] }
    const expected: Record<string, object> = {
      fine: { ...sent, isTriedAgain: false },
      greylisted: { ...sent, isTriedAgain: true },
      full: { ...sent, isTriedAgain: true },
      cut: { ...sent, isTriedAgain: true },
      unknown: { ...dead, words: expect.stringMatching(/550 5\.1\.1 No such mailbox here$/) },
      spam: { ...dead, words: '554 5.7.1 Looks like spam' },
    }
    expect(outcomes).toHaveLength(addresses.length)
    for (const outcome of outcomes) expect(outcome).toMatchObject(expected[outcome.kind ?? ''] ?? {})
  })

  test('an event delivered twice sends one mail', async () => {
    await using shop = await startShop()
    const user = someUser()
    await shop.publisher.publish(authEvents.userChanged, user)
    await shop.publisher.publish(ordersEvents.orderConfirmed, someOrder(user.userId))
    await eventually(() => shop.smtp.accepted.length === 1)
    // With the stream gone every event is published and delivered again; the inbox knows them.
    await shop.bus.deleteStream()
    const marker = someUser()
    await shop.publisher.publish(authEvents.registrationRepeated, marker)
    await eventually(() => shop.smtp.acceptedFor(marker.email).length === 1)
    expect(await shop.rows()).toHaveLength(2)
    expect(shop.smtp.accepted).toHaveLength(2)
  })

  test('one order is confirmed in one mail, however many events say so', async () => {
    await using shop = await startShop()
    const user = someUser()
    const order = someOrder(user.userId)
    await shop.publisher.publish(authEvents.userChanged, user)
    await shop.publisher.publish(ordersEvents.orderConfirmed, order)
    await shop.publisher.publish(ordersEvents.orderConfirmed, order)
    await shop.publisher.publish(ordersEvents.orderCancelled, order)
    await eventually(() => shop.smtp.accepted.length === 2)
    expect((await shop.rows()).map(({ kind }) => kind).toSorted()).toEqual(['order-cancelled', 'order-confirmed'])
  })

  test('two replicas send each mail once', async () => {
    await using shop = await startShop()
    await using second = await shop.replica()
    const users = Array.from({ length: 80 }, () => someUser())
    for (const user of users) {
      await shop.publisher.publish(authEvents.registrationRepeated, user)
      shop.notifications.clock.advance(100)
    }
    await eventually(() => shop.smtp.accepted.length >= users.length)
    await shop.drain(1_000)
    expect(shop.smtp.accepted.map(({ to }) => to).toSorted()).toEqual(users.map(({ email }) => email).toSorted())
    const sentBy = (log: { lines: readonly { message: string }[] }): number =>
      log.lines.filter(({ message }) => message === 'Mail sent').length
    expect(sentBy(shop.notifications.log) + sentBy(second.log)).toBe(users.length)
  })

  test('a mail under way is finished before the service stops', async () => {
    const release = Promise.withResolvers<Behaviour>()
    await using smtp = await SmtpSink.start({ behave: () => release.promise })
    await using shop = await startShop({ smtpUrls: [smtp.url] })
    const user = someUser()
    await shop.publisher.publish(authEvents.registrationRepeated, user)
    await eventually(() => smtp.attempts(user.email) === 1)
    const restarted = shop.notifications.restart()
    await eventually(() => shop.notifications.log.lines.some(({ message }) => message === 'service stops'))
    expect(smtp.accepted).toHaveLength(0)
    release.resolve('accept')
    await restarted
    expect(smtp.acceptedFor(user.email)).toHaveLength(1)
    expect(await shop.rows()).toMatchObject([{ status: 'sent', attempts: 1 }])
  })

  test('a mail that was accepted while the database was away is recorded when it is back, and not sent again', async () => {
    const release = Promise.withResolvers<Behaviour>()
    await using shop = await startShop({ behave: () => release.promise })
    const { database } = shop
    const user = someUser()
    await shop.publisher.publish(authEvents.registrationRepeated, user)
    await eventually(() => shop.smtp.attempts(user.email) === 1)
    // Only the superuser, this test, still gets in.
    await database.query(`alter database "${database.name}" connection limit 0`)
    await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and usename = 'notifications'`,
      [database.name],
    )
    release.resolve('accept')
    await eventually(() =>
      shop.notifications.log.lines.some(({ message }) => message === 'What became of mails could not be recorded yet'),
    )
    await database.query(`alter database "${database.name}" connection limit -1`)
    await eventually(async () => (await shop.rows())[0]?.status === 'sent')
    expect(shop.smtp.accepted).toHaveLength(1)
  })

  test('a mail that only ever failed for the time being is given up after 48 hours, with the last words', async () => {
    await using shop = await startShop({ behave: () => ({ recipientCode: 450, words: '4.2.1 Still busy' }) })
    await shop.publisher.publish(authEvents.registrationRepeated, someUser())
    await eventually(async () => (await shop.rows())[0]?.last_error === '450 4.2.1 Still busy')
    const startMs = shop.notifications.clock.now().getTime()
    await shop.drain(60 * MINUTE_MS)
    expect(shop.notifications.clock.now().getTime() - startMs).toBeGreaterThanOrEqual(48 * 60 * MINUTE_MS)
    const [row] = await shop.rows()
    expect(row).toMatchObject({ status: 'dead', last_error: 'given up after 48 hours: 450 4.2.1 Still busy' })
    expect(row?.attempts).toBeGreaterThan(40)
  })
})

describe.concurrent('who a mail goes to', () => {
  test('an order mail waits until its customer is known, and then goes at once', async () => {
    await using shop = await startShop()
    const user = someUser()
    await shop.publisher.publish(ordersEvents.orderConfirmed, someOrder(user.userId))
    await eventually(async () => {
      expect(await shop.rows()).toMatchObject([{ status: 'due', attempts: 0, lease: null }])
      expect((await shop.rows())[0]?.last_error).toMatch(/address/)
    })
    await shop.publisher.publish(authEvents.userChanged, user)
    await eventually(() => shop.smtp.acceptedFor(user.email).length === 1)
    await eventually(async () => (await shop.rows())[0]?.status === 'sent')
    expect(await shop.rows()).toMatchObject([{ email: user.email, attempts: 1 }])
  })

  test('an older state of a user never replaces a newer one', async () => {
    await using shop = await startShop()
    const user = someUser({ email: 'new@example.com' })
    await shop.publisher.publish(authEvents.userChanged, user, { version: 2 })
    await eventually(async () => (await shop.database.query('select 1 from recipient')).length === 1)
    await shop.publisher.publish(authEvents.userChanged, { ...user, email: 'old@example.com' }, { version: 1 })
    await shop.publisher.publish(
      authEvents.passwordChanged,
      { ...user, changedAt: new Date().toISOString() },
      { version: 3 },
    )
    await shop.publisher.publish(ordersEvents.orderConfirmed, someOrder(user.userId))
    await eventually(() => shop.smtp.accepted.length === 2)
    expect(shop.smtp.accepted.map(({ to }) => to)).toEqual(['new@example.com', 'new@example.com'])
  })

  test('a sign-in is mailed only when it came from a new device', async () => {
    await using shop = await startShop()
    const user = someUser()
    const session = { ...authEvents.sessionOpened.example, ...user }
    await shop.publisher.publish(authEvents.sessionOpened, { ...session, newDevice: false })
    await shop.publisher.publish(authEvents.sessionOpened, { ...session, newDevice: true, sessionId: user.userId })
    await eventually(() => shop.smtp.accepted.length === 1)
    expect(await shop.rows()).toMatchObject([{ kind: 'new-sign-in' }])
  })

  test('an address with CR/LF never reaches a header', async () => {
    await using shop = await startShop()
    const attack = 'ada@example.com\r\nBcc: eve@example.com'
    await shop.publisher.publish(authEvents.registrationRepeated, someUser({ email: attack }))
    await shop.publisher.publish(authEvents.userChanged, someUser({ email: attack }))
    await shop.publisher.publish(authEvents.registrationRepeated, someUser({ email: '"Bcc: eve"@example.com' }))
    const user = someUser({ name: 'Ada\r\nBcc: eve@example.com' })
    await shop.publisher.publish(authEvents.userChanged, user)
    const order = someOrder(user.userId)
    const [line] = order.lines
    if (line === undefined) throw new Error('the example has a line')
    await shop.publisher.publish(ordersEvents.orderConfirmed, {
      ...order,
      lines: [{ ...line, name: 'Tea\r\nBcc: eve@example.com' }],
    })
    const mail = await eventually(() => shop.smtp.accepted[0] ?? false)
    const [headers = ''] = mail.raw.split('\r\n\r\n', 1)
    expect(headers).not.toMatch(/eve@/)
    const letters = await eventually(async () => {
      const found = await shop.database.query<{ reason: string }>('select reason from dead_letter')
      expect(found).toHaveLength(3)
      return found
    })
    for (const { reason } of letters) expect(reason).toMatch(/email/)
    expect(shop.smtp.accepted).toHaveLength(1)
  })
})
