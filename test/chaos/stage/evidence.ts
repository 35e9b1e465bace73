import { eventually, type TestBus } from '@saas/testing'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readStream, type Evidence, type Ledger } from '../checkers/index.ts'
import type { Stack } from './stack.ts'

const STREAM = 'messages'
const DRAINED_WITHIN_MS = 60_000
const LAST_LINES = 12

/** Everything there is to look at, now. */
export async function evidenceOf(stack: Stack, ledger: Ledger): Promise<Evidence> {
  return {
    ledger,
    databases: stack.databases,
    stream: await readStream(stack.bus),
    mails: stack.hasMail ? stack.mail.mails() : undefined,
    logs: readdirSync(stack.directory)
      .filter((name) => name.endsWith('.log'))
      .map((name) => ({ name, text: readFileSync(join(stack.directory, name), 'utf8') })),
  }
}

/** The end of each log of a service, for a failure that only it explains. */
export function lastWords(stack: Stack, service: string): string {
  return readdirSync(stack.directory)
    .filter((name) => name.startsWith(service) && name.endsWith('.log'))
    .map((name) => readFileSync(join(stack.directory, name), 'utf8').split('\n').slice(-LAST_LINES).join('\n'))
    .join('\n')
}

/** What was never on a stream; what a lost one had keeps its sequence and comes in instalments behind this. */
const NEW = 'from outbox where published_at is null and stream_sequence is null'

/** Resolves when nothing new waits in any outbox, and writes down how long that took. To be called when an outage ends. */
export async function outboxesDrained(stack: Stack, ledger: Ledger, timeoutMs = DRAINED_WITHIN_MS): Promise<void> {
  const endedAtMs = performance.now()
  const drains = Object.entries(stack.databases).map(async ([service, database]) => {
    const [{ waiting } = { waiting: 0 }] = await database.query<{ waiting: number }>(
      `select count(*)::int as waiting ${NEW}`,
    )
    const next = `select id, subject, aggregate_version, created_at ${NEW} limit 3`
    await eventually(
      async () => {
        const left = await database.query(next)
        if (left.length > 0)
          throw new Error(`${service} publishes nothing of ${JSON.stringify(left)}\n${lastWords(stack, service)}`)
      },
      { timeoutMs },
    )
    ledger.drains.push({ service, waiting, ms: performance.now() - endedAtMs })
  })
  await Promise.all(drains)
}

/** Where something may be on its way: the databases, and the bus between them. */
type Ways = Pick<Evidence, 'databases'> & { readonly bus: TestBus }

/** What is still on its way, in words; empty when everything has arrived. */
async function unfinished({ databases, bus }: Ways): Promise<string[]> {
  const left: string[] = []
  for (const [service, database] of Object.entries(databases)) {
    const [pending] = await database.query<{ count: number }>(
      `select (select count(*) from outbox where published_at is null)::int + (select count(*) from republication)::int +
         (select count(*) from stream_position where keep_below is not null)::int as count`,
    )
    if (pending !== undefined && pending.count > 0) left.push(`${pending.count} messages of ${service} are unpublished`)
  }
  if (left.length > 0) return left
  const manager = await bus.manager()
  const { created } = await manager.streams.info(STREAM)
  for (const [service, database] of Object.entries(databases)) {
    // What was published before the stream was made anew is published again once its service has noticed.
    const [elsewhere] = await database.query(
      'select from stream_position where stream = $1 and stream_created_at <> $2::timestamptz',
      [STREAM, created],
    )
    if (elsewhere !== undefined) left.push(`${service} has not noticed that the stream is another`)
    const info = await manager.consumers.info(STREAM, service).catch(() => undefined)
    if (info === undefined) left.push(`${service} has no consumer`)
    else if (info.num_pending + info.num_ack_pending > 0) {
      const { num_pending: waiting, num_ack_pending: underWay, num_redelivered: again } = info
      left.push(`${service} has messages to apply: ${waiting} wait, ${underWay} are under way, ${again} came again`)
    }
  }
  const orders = await databases.orders?.query<{ count: number }>(
    `select count(*)::int as count from orders where status = 'pending'`,
  )
  if ((orders?.[0]?.count ?? 0) > 0) left.push(`${orders?.[0]?.count} orders wait`)
  const mails = await databases.notifications?.query<{ count: number }>(
    `select count(*)::int as count from mail where status = 'due'`,
  )
  if ((mails?.[0]?.count ?? 0) > 0) left.push(`${mails?.[0]?.count} mails are due`)
  return left
}

/** Resolves when nothing is on its way any more: twice in a row, because what one applies another may answer. */
export async function drained(ways: Ways, timeoutMs = DRAINED_WITHIN_MS): Promise<void> {
  let quiet = 0
  await eventually(
    async () => {
      const left = await unfinished(ways)
      quiet = left.length === 0 ? quiet + 1 : 0
      if (left.length > 0) throw new Error(left.join('; '))
      return quiet >= 2
    },
    { timeoutMs },
  )
}
