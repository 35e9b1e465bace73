import { authEvents, notificationsRoutes, ordersEvents, ordersRoutes } from '@saas/contracts'
import { v7 as uuidv7 } from 'uuid'
import { previews } from '../../services/notifications/src/preview.ts'
import { interleave, median, percentile, type Benchmark, type BenchmarkContext } from './frame/benchmark.ts'
import { watchCores } from './frame/processor-time.ts'
import type { Stage, StageService } from './frame/stage.ts'
import { sendBare } from './mails/bare.ts'
import { fillStream } from './mails/events.ts'
import { Sink } from './mails/sink.ts'
import { sellProducts } from './shop/products.ts'
import { until } from './shop/until.ts'

const MAILS = 6_000
const USERS = 100_000
const LIGHT_ORDERS = 100
const LIGHT_INTERVAL_MS = 50
const PATIENCE_MS = 300_000
const MEBIBYTE = 1024 ** 2

export const mail: Benchmark = {
  title: 'Mails',
  run: async (context) => {
    const { stage, repetitions, say } = context
    await using sink = await Sink.start()
    await stage.prepareDatabase('notifications')
    const coresSeen: Record<string, number>[] = []
    const { bare, service } = await interleave(repetitions, {
      bare: async () => await bareRate(sink, say),
      service: async () => await serviceRate(stage, sink, coresSeen, say),
    })
    const planning = await planEverybody(context, sink)
    const latencies = await orderLatencies(context, sink)
    return {
      measures: [
        { name: 'bare nodemailer pool', unit: 'mails/s', values: bare },
        { name: 'from event to accepted mail', unit: 'mails/s', values: service, cores: coresSeen[0] ?? {} },
        { name: `a digest for ${USERS} users planned`, unit: 'users/s', values: [planning.usersPerSecond] },
        { name: 'memory it took', unit: 'MiB', values: [planning.grownBytes / MEBIBYTE] },
        { name: 'from order to accepted mail, p50', unit: 'ms', values: [percentile(latencies, 50)] },
        { name: 'from order to accepted mail, p99', unit: 'ms', values: [percentile(latencies, 99)] },
      ],
      ratios: [
        { name: 'events to mails, to the bare pool', value: median(service) / median(bare), aim: 0.7 },
        { name: 'order to mail, p50', unit: ' ms', value: percentile(latencies, 50), aim: 50, atMost: true },
        { name: 'memory of planning', unit: ' MiB', value: planning.grownBytes / MEBIBYTE, aim: 200, atMost: true },
      ],
      notes: [
        `Both send the same ${MAILS} order mails (HTML and text, about 8 kB) over 10 connections to the same server, which runs in a process of its own, keeps nothing and, as most do, takes pipelined commands.`,
        'The service takes its events from a full stream and writes every step into Postgres; the bare pool renders and keeps nothing.',
        `Light load is an order every ${LIGHT_INTERVAL_MS} ms; the time is from sending the request to the server having the mail.`,
      ],
    }
  },
}

async function bareRate(sink: Sink, say: BenchmarkContext['say']): Promise<number> {
  const example = previews().find(({ kind, language }) => kind === 'order-confirmed' && language === 'en')
  if (example === undefined) throw new Error('There is no preview of the mail')
  await sink.startOver()
  const { subject, text, html } = example
  await sendBare({ url: sink.url, mails: MAILS, subject, text, html })
  return await rateOf(sink, 'bare', say)
}

/** The stream is filled while the service is away, so that making the events costs nothing while it works on them. */
async function serviceRate(
  stage: Stage,
  sink: Sink,
  coresSeen: Record<string, number>[],
  say: BenchmarkContext['say'],
): Promise<number> {
  const users = Array.from({ length: 1_000 }, (_, index) => ({
    ...authEvents.userChanged.example,
    roles: ['customer'],
    userId: uuidv7(),
    email: `u${index}@d${index % 20}.example`,
    preferences: {},
  }))
  await fillStream(stage, authEvents.userChanged, users, ({ userId }) => userId)
  const orders = Array.from({ length: MAILS }, (_, index) => ({
    ...ordersEvents.orderConfirmed.example,
    orderId: uuidv7(),
    userId: users[index % users.length]?.userId ?? '',
  }))
  await fillStream(stage, ordersEvents.orderConfirmed, orders, ({ orderId }) => orderId)
  await sink.startOver()
  await using _service = await startNotifications(stage, sink)
  await until('the first mail comes', async () => (await sink.taken()).count > 0, PATIENCE_MS)
  const measured = watchCores({ ...stage.processes, sink: sink.pid })
  await until('every mail is taken', async () => (await sink.taken()).count >= MAILS, PATIENCE_MS)
  coresSeen.push(measured())
  return await rateOf(sink, 'service', say)
}

async function rateOf(sink: Sink, name: string, say: BenchmarkContext['say']): Promise<number> {
  const { count, bytes, firstAtMs, lastAtMs } = await sink.taken()
  if (count !== MAILS) throw new Error(`${count} mails were taken instead of ${MAILS}`)
  const perSecond = (count - 1) / ((lastAtMs - firstAtMs) / 1_000)
  say(`${name}: ${Math.round(perSecond)} mails/s of ${Math.round(bytes / count)} bytes`)
  return perSecond
}

/** One firing for everybody: its users are planned by pages, while a service that sends as it can runs beside. */
async function planEverybody(
  { stage, say }: BenchmarkContext,
  sink: Sink,
): Promise<{ usersPerSecond: number; grownBytes: number }> {
  await stage.query(
    'notifications',
    `insert into recipient (user_id, version, email, name, language, zone, roles, verified, disabled, updated_at)
     select uuidv7(), 1, 'p' || n || '@p' || n % 50 || '.example', 'P', 'en', 'UTC', '{customer}', true, false, now()
     from generate_series(1, ${USERS}) n`,
  )
  await using service = await startNotifications(stage, sink)
  const id = uuidv7()
  const body = {
    name: 'Everybody',
    at: '2099-01-01T12:00',
    zone: 'UTC',
    catchUp: 'once',
    roles: null,
    announcement: { en: { title: 'News', text: 'There is news.' }, de: { title: 'Neues', text: 'Es gibt Neues.' } },
  }
  const { putSchedule } = notificationsRoutes
  const answer = await fetch(service.url + putSchedule.path.replace('{id}', id), {
    method: 'PUT',
    headers: {
      ...stage.signedIn(putSchedule, { userId: uuidv7(), roles: ['admin'] }),
      'content-type': 'application/json',
    },
    body: JSON.stringify(body),
  })
  if (answer.status !== 201) throw new Error(`The schedule was refused: ${await answer.text()}`)
  const before = await residentBytes(service)
  const startedAtMs = performance.now()
  await stage.query(
    'notifications',
    `insert into fire (id, schedule_id, zone, fire_at, local_date, facts, status, created_at)
     select uuidv7(), id, 'UTC', now(), current_date, content, 'planning', now() from schedule where id = $1`,
    [id],
  )
  let most = before
  let steps = 0
  let known = 0
  await until(
    'everybody is planned',
    async () => {
      const [fire] = await stage.query<{ status: string; mails: number }>(
        'notifications',
        'select status, mails from fire where schedule_id = $1',
        [id],
      )
      most = Math.max(most, await residentBytes(service))
      if ((fire?.mails ?? 0) > known) steps += 1
      known = fire?.mails ?? 0
      return fire?.status === 'done'
    },
    PATIENCE_MS,
  )
  const seconds = (performance.now() - startedAtMs) / 1_000
  if (known < USERS) throw new Error(`${known} users were planned instead of ${USERS}`)
  say(`${known} planned in ${seconds.toFixed(1)} s, seen to grow ${steps} times`)
  return { usersPerSecond: known / seconds, grownBytes: most - before }
}

async function orderLatencies({ stage, say }: BenchmarkContext, sink: Sink): Promise<number[]> {
  // The rest of the announcement is not what is measured here.
  await stage.query('notifications', `delete from mail where status = 'due'`)
  await stage.prepareDatabase('orders')
  const products = await stage.startService('products')
  const orders = await stage.startService('orders')
  const [productId = ''] = await sellProducts(stage, products, { count: 1, stock: 1_000_000, isOrdersThere: true })
  const user = {
    ...authEvents.userChanged.example,
    roles: ['customer'],
    userId: uuidv7(),
    email: 'light@light.example',
    preferences: {},
  }
  await fillStream(stage, authEvents.userChanged, [user], ({ userId }) => userId)
  await using _service = await startNotifications(stage, sink)
  const place = async (): Promise<{ id: string; sentAtMs: number }> => {
    const sentAtMs = performance.timeOrigin + performance.now()
    const answer = await fetch(orders.url + ordersRoutes.placeOrder.path, {
      method: 'POST',
      headers: {
        ...stage.signedIn(ordersRoutes.placeOrder, { userId: user.userId }),
        'content-type': 'application/json',
        'idempotency-key': uuidv7(),
        prefer: 'wait=0',
      },
      body: JSON.stringify({ lines: [{ productId, quantity: 1 }] }),
    })
    if (answer.status !== 201) throw new Error(`An order was refused: ${await answer.text()}`)
    return { id: ((await answer.json()) as { id: string }).id, sentAtMs }
  }
  const placed: { id: string; sentAtMs: number }[] = []
  const warmUp = LIGHT_ORDERS / 4
  await sink.startOver()
  for (let n = 0; n < warmUp + LIGHT_ORDERS; n += 1) {
    const next = new Promise((resolve) => setTimeout(resolve, LIGHT_INTERVAL_MS))
    placed.push(await place())
    await next
  }
  await until('every order is mailed', async () => (await sink.taken()).count >= placed.length, PATIENCE_MS)
  const { atMsByOrder } = await sink.taken()
  const latencies = placed.slice(warmUp).map(({ id, sentAtMs }) => (atMsByOrder[id] ?? Number.NaN) - sentAtMs)
  say(`order to mail: p50 ${percentile(latencies, 50).toFixed(1)} ms`)
  return latencies
}

async function startNotifications(stage: Stage, sink: Sink): Promise<StageService> {
  return await stage.startService('notifications', { environment: { SMTP_URL: sink.url, QUIET_HOURS: 'off' } })
}

async function residentBytes({ opsUrl }: StageService): Promise<number> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1])
}
