import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { authEvents } from '@saas/contracts'
import { eventually, testConfig, testObjectStore } from '@saas/testing'
import { SENDING_MAX } from '../src/smtp.ts'
import { mailSecretKey, someUser, startShop, type Shop } from './fixtures.ts'
import { SmtpSink, type Behaviour } from './smtp-sink.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const replica = fileURLToPath(new URL('replica-main.ts', import.meta.url))
const SILENCE_MS = 2_000

test('when the first mail server is down the next one gets the mail, and the first one again when it is back', async () => {
  const down = await SmtpSink.start()
  const { port } = down
  await down[Symbol.asyncDispose]()
  await using second = await SmtpSink.start()
  await using shop = await startShop({ smtpUrls: [`smtp://127.0.0.1:${port}`, second.url] })
  const users = Array.from({ length: 5 }, () => someUser())
  for (const user of users) {
    await shop.publisher.publish(authEvents.registrationRepeated, user)
    await eventually(() => second.acceptedFor(user.email).length === 1)
  }
  const failures = shop.notifications.log.lines.filter(({ message }) => message === 'A mail server failed')
  expect(failures.map(({ isOpen }) => isOpen)).toEqual([false, false, true])

  await using first = await SmtpSink.start({ port })
  shop.notifications.clock.advance(10_000)
  const user = someUser()
  await shop.publisher.publish(authEvents.registrationRepeated, user)
  await eventually(() => first.acceptedFor(user.email).length === 1)
})

test('the password of a mail server is replaced while both are valid; afterwards who has the old one sends nothing and loses nothing', async () => {
  await using both = await SmtpSink.start({ passwords: new Set(['old', 'young']) })
  const { port } = both
  const url = (password: string) => both.url.replace('smtp://', `smtp://shop:${password}@`)
  const send = async (shop: Shop) => {
    const user = someUser()
    await shop.publisher.publish(authEvents.registrationRepeated, user)
    return user.email
  }
  await using before = await startShop({ smtpUrls: [url('old')] })
  await using after = await startShop({ smtpUrls: [url('young')] })
  for (const shop of [before, after]) {
    const email = await send(shop)
    await eventually(() => both.acceptedFor(email).length === 1)
  }
  // Connections that are open would go on.
  await both[Symbol.asyncDispose]()
  await using server = await SmtpSink.start({ port, passwords: new Set(['young']) })
  const [kept, sent] = [await send(before), await send(after)]
  await eventually(() => server.acceptedFor(sent).length === 1)
  await eventually(async () => {
    const row = (await before.rows()).find(({ email }) => email === kept)
    expect(row).toMatchObject({ status: 'due', last_error: expect.stringMatching(/535/) as string })
  })
  expect(JSON.stringify(await before.rows())).not.toContain('shop:old')
  expect(server.acceptedFor(kept)).toEqual([])
})

test('a mail server that accepts connections and says nothing is passed over in time', async () => {
  await using silent = await SmtpSink.start({ isSilent: true })
  await using second = await SmtpSink.start()
  await using shop = await startShop({ smtpUrls: [silent.url, second.url], connTimeoutSeconds: 1 })
  const user = someUser()
  await shop.publisher.publish(authEvents.registrationRepeated, user)
  await eventually(() => second.acceptedFor(user.email).length === 1)
  expect(silent.connections).toBe(1)
})

test('a mail whose answer was lost is not given to another server, which would send it twice', async () => {
  await using second = await SmtpSink.start()
  await using first = await SmtpSink.start({ behave: (_to, attempt) => (attempt === 1 ? 'cut' : 'accept') })
  await using shop = await startShop({ smtpUrls: [first.url, second.url] })
  const user = someUser()
  await shop.publisher.publish(authEvents.registrationRepeated, user)
  await eventually(async () => {
    const [row] = await shop.rows()
    expect(row).toMatchObject({ status: 'due', lease: null, attempts: 1 })
  })
  expect(second.connections).toBe(0)
  await shop.drain()
  expect(first.acceptedFor(user.email)).toHaveLength(1)
})

test('a mail server that never answers a mail costs a time-out, and the mail is tried again', async () => {
  await using shop = await startShop({
    connTimeoutSeconds: 1,
    behave: (_to, attempt) => (attempt === 1 ? 'hang' : 'accept'),
  })
  const user = someUser()
  await shop.publisher.publish(authEvents.registrationRepeated, user)
  await eventually(async () => (await shop.rows())[0]?.attempts === 1 && (await shop.rows())[0]?.lease === null)
  await shop.drain()
  expect(shop.smtp.acceptedFor(user.email)).toHaveLength(1)
})

test('while every mail server is down mails wait without being tried, and go when one is back', async () => {
  const down = await SmtpSink.start()
  const { port } = down
  await down[Symbol.asyncDispose]()
  await using shop = await startShop({ smtpUrls: [`smtp://127.0.0.1:${port}`] })
  const users = Array.from({ length: 20 }, () => someUser())
  for (const user of users) await shop.publisher.publish(authEvents.registrationRepeated, user)
  await eventually(async () => (await shop.rows()).length === users.length)
  await eventually(() => shop.notifications.log.lines.some(({ isOpen }) => isOpen === true))
  await using back = await SmtpSink.start({ port })
  await shop.drain(30_000)
  expect(back.accepted).toHaveLength(users.length)
})

test('a killed sender’s mail is sent by another after its lease, and not before, and it never held many', async () => {
  const hanging = new Set<string>()
  const behave = (to: string): Behaviour => (hanging.has(to) ? 'hang' : 'accept')
  await using shop = await startShop({ behave })
  await using victim = await startReplicaProcess(shop)
  const user = someUser()
  hanging.add(user.email)
  // Only the other process is free to send: this one's clock stands at a time when nothing is due yet.
  shop.notifications.clock.advance(-1_000_000)
  await victim.ready
  await insertMail(shop, user)
  await eventually(() => shop.smtp.attempts(user.email) === 1)
  const waiting = Array.from({ length: 60 }, (_, index) => someUser({ email: `w${index}@d${index}.example` }))
  for (const { email } of waiting) hanging.add(email)
  await insertMail(shop, ...waiting)
  await eventually(() => waiting.filter(({ email }) => shop.smtp.attempts(email) > 0).length === SENDING_MAX - 1)
  await victim.kill()
  const held = (await shop.rows()).filter(({ lease }) => lease !== null).length
  expect(held).toBeGreaterThanOrEqual(SENDING_MAX)
  expect(held).toBeLessThanOrEqual(3 * SENDING_MAX)
  hanging.clear()
  const leases = (await shop.rows()).filter(({ lease }) => lease !== null).map(({ due_at: dueAt }) => dueAt.getTime())
  const leaseEndsAt = new Date(Math.max(...leases))

  // A replica whose clock is a minute ahead still leaves it alone.
  const marker = someUser()
  await insertMail(shop, marker)
  // Time is moved again and again: a courier that is at work while it moves goes to sleep afterwards.
  await eventually(() => {
    shop.notifications.clock.set(new Date(Date.now() + 60_000))
    return shop.smtp.acceptedFor(marker.email).length === 1
  })
  expect(shop.smtp.attempts(user.email)).toBe(1)

  shop.notifications.clock.set(leaseEndsAt)
  await eventually(() => {
    shop.notifications.clock.advance(1_000)
    return shop.smtp.acceptedFor(user.email).length === 1
  })
  await shop.drain(1_000)
  for (const { email } of waiting) expect(shop.smtp.acceptedFor(email)).toHaveLength(1)
})

test('what a killed sender held is sent by another that no longer hears it, long before its lease ends, and not while it lives', async () => {
  const hanging = new Set<string>()
  const behave = (to: string): Behaviour => (hanging.has(to) ? 'hang' : 'accept')
  await using shop = await startShop({ behave, parts: { beatMs: 100, silenceMs: SILENCE_MS } })
  await using victim = await startReplicaProcess(shop, replica)
  // Nothing is due by this clock but what is let go.
  shop.notifications.clock.advance(-1_000_000)
  await victim.ready
  const users = Array.from({ length: SENDING_MAX }, (_, index) => someUser({ email: `u${index}@d${index}.example` }))
  for (const { email } of users) hanging.add(email)
  await insertMail(shop, ...users)
  await eventually(() => users.every(({ email }) => shop.smtp.attempts(email) === 1))
  const heldAt = await beatsOf(shop)
  await eventually(async () => (await beatsOf(shop)) > heldAt + (3 * SILENCE_MS) / 100)
  expect((await shop.rows()).every(({ lease }) => lease !== null)).toBe(true)
  await victim.kill()
  hanging.clear()
  await eventually(() => shop.smtp.accepted.length === users.length)
  expect(users.map(({ email }) => shop.smtp.attempts(email))).toEqual(users.map(() => 2))
  const couriers = await shop.database.query('select 1 from courier')
  expect(couriers).toHaveLength(1)
})

/** How often couriers have said that they live, over all. */
async function beatsOf(shop: Shop): Promise<number> {
  const [row] = await shop.database.query<{ beats: number }>('select sum(beats)::int as beats from courier')
  return row?.beats ?? 0
}

/** Puts a mail there as an event would, but without the stream, which waits 30 seconds for what a killed program held. */
async function insertMail(shop: Shop, ...users: readonly { userId: string; email: string }[]): Promise<void> {
  await shop.database.query(
    `insert into mail (
       id, natural_key, kind, user_id, email, name, language, data, has_secret, due_at, gives_up_at, created_at
     )
     select user_id, user_id::text, 'already-registered', user_id, email, 'Ada', 'en', '{}', false, now(),
       now() + interval '2 days', now()
     from unnest($1::uuid[], $2::text[]) as promised(user_id, email)`,
    [users.map(({ userId }) => userId), users.map(({ email }) => email)],
  )
}

/** A replica as a program of its own, which can be killed. */
async function startReplicaProcess(
  shop: Shop,
  program = main,
): Promise<AsyncDisposable & { ready: Promise<void>; kill(): Promise<void> }> {
  await using objects = await testObjectStore()
  const config = testConfig('notifications', { database: shop.database, bus: shop.bus, objects })
  const encode = (key: Uint8Array | undefined): string => Buffer.from(key ?? []).toString('base64url')
  const child = spawn(process.execPath, [program], {
    env: {
      PATH: process.env['PATH'],
      LISTEN_PORT: '0',
      OPS_PORT: '0',
      PUBLIC_URL: config.publicUrl,
      DATABASE_URL: config.databaseUrl,
      MIGRATE_DATABASE_URL: config.migrateDatabaseUrl,
      NATS_BROKER_URL: config.natsBrokerUrl,
      INTERNAL_TOKEN_KEY: encode(config.internalTokenKeys[0]),
      MAIL_SECRET_KEY: encode(mailSecretKey),
      SMTP_URL: shop.smtp.url,
      MAIL_FROM: 'The Shop <shop@shop.example>',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const started = Promise.withResolvers<void>()
  child.stdout.on('data', (chunk: Buffer) => {
    if (chunk.includes('service listens')) started.resolve()
  })
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  return { ready: started.promise, kill, [Symbol.asyncDispose]: kill }
}
