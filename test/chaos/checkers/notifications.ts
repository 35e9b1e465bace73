import { rowsOf, type Checker, type Checkers } from './evidence.ts'

/** Every event that promises a mail about an order has one that was accepted, or was refused for good by the server's own words. */
const everyMail: Checker = async ({ databases: { orders, notifications }, mails }) => {
  if (orders === undefined || notifications === undefined) return []
  const promised = await orders.query<{ key: string }>(
    `select 'order-' || regexp_replace(subject, '^.*\\.', '') || ':' || aggregate_id as key
     from outbox
     where aggregate_type = 'order' and aggregate_version > 1`,
  )
  const rows = await notifications.query<{ key: string; id: string; status: string; last_error: string | null }>(
    'select natural_key as key, id, status, last_error from mail',
  )
  const byKey = new Map(rows.map((row) => [row.key, row]))
  const accepted = new Set(mails?.map(({ messageId }) => messageId.split('@')[0]))
  const missing = promised.filter(({ key }) => !byKey.has(key)).map(({ key }) => `Nobody wrote the mail ${key}`)
  const unfinished = rows.flatMap(({ key, id, status, last_error }) => {
    if (status === 'sent')
      return mails !== undefined && !accepted.has(id) ? [`The mail ${key} is sent and no server has it`] : []
    if (status === 'dead' && /^(5\d\d|expired)/.test(last_error ?? '')) return []
    return [`The mail ${key} is ${status}: ${last_error}`]
  })
  return [...missing, ...unfinished]
}

/** A mail has as many copies as workers were killed while they may have been sending it, and one. */
const fewCopies: Checker = ({ ledger, mails = [] }) => {
  // Of a mail that the server kept and did not answer for, sending it again is the only way not to lose it.
  const answered = Map.groupBy(
    mails.filter(({ isCut }) => !isCut),
    ({ messageId }) => messageId,
  )
  const tooMany = [...answered].filter(([, copies]) => copies.length > 1 + ledger.workerKills)
  return Promise.resolve(tooMany.map(([messageId, copies]) => `${messageId} was accepted ${copies.length} times`))
}

/** Every mail that a server has is a row, and every row about an order has its event. */
const noInventedMail: Checker = async ({ databases: { orders, notifications }, mails = [] }) => {
  if (notifications === undefined) return []
  const rows = await notifications.query<{ id: string; key: string; kind: string }>(
    'select id, natural_key as key, kind from mail',
  )
  const ids = new Set(rows.map(({ id }) => id))
  const invented = mails.filter(({ messageId }) => !ids.has(messageId.split('@')[0] ?? ''))
  const told = await rowsOfEvents(orders)
  return [
    ...invented.map(({ messageId }) => `The mail ${messageId} was sent and is nobody's`),
    ...rows
      .filter(({ key, kind }) => orders !== undefined && kind.startsWith('order-') && !told.has(key))
      .map(({ key }) => `The mail ${key} has no event`),
  ]
}

async function rowsOfEvents(orders: Parameters<typeof rowsOf>[0]): Promise<Set<string>> {
  const rows = await orders?.query<{ key: string }>(
    `select 'order-' || regexp_replace(subject, '^.*\\.', '') || ':' || aggregate_id as key
     from outbox where aggregate_type = 'order'`,
  )
  return new Set(rows?.map(({ key }) => key))
}

export const notificationCheckers: Checkers = {
  N1: everyMail,
  N2: fewCopies,
  N3: noInventedMail,
}
