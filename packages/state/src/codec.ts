import { headers, type MsgHdrs } from '@nats-io/transport-node'
import { Ajv, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'
import { allEvents, isTime, type DataOf, type Event } from '@saas/contracts'
import { FromNewerVersion, Unprocessable } from './errors.ts'
import { isUuid } from './id-page.ts'
import type { Message, MessageOf } from './message.ts'

/** What a message is about, as the columns say it. */
export interface Aggregate {
  readonly aggregate_type: string
  readonly aggregate_id: string
}

/** A row of the outbox on its way to the stream. */
export interface OutgoingRow extends Aggregate {
  readonly id: string
  readonly aggregate_version: number
  readonly subject: string
  readonly body: string
  readonly trace_parent: string | null
  readonly created_at: Date
}

/** What arrived, as far as decoding looks at it. */
export interface IncomingMessage {
  readonly subject: string
  readonly data: Uint8Array
  readonly headers?: MsgHdrs | undefined
}

const VERSION = /^[1-9]\d{0,15}$/
/** As W3C Trace Context writes it. */
const TRACE_PARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/
const REASON_ERRORS_MAX = 3

const ajv = formats.default(new Ajv({ strict: false, allErrors: true, strictNumbers: true }))
ajv.addFormat('date-time', isTime)
// Compiled when the first such message comes, not at the start.
const validators = new WeakMap<Event['data'], ValidateFunction>()
const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Names an aggregate among all others. */
export function aggregateOf({ aggregate_type: type, aggregate_id: id }: Aggregate): string {
  return `${type} ${id}`
}

/** The headers of a message: CloudEvents 1.0 in binary mode over NATS, and the id by which the stream drops repetitions. */
export function encodeHeaders(row: OutgoingRow, service: string): MsgHdrs {
  // Appended, because setting looks for what is to be replaced first.
  const encoded = headers()
  encoded.append('Nats-Msg-Id', row.id)
  encoded.append('ce-specversion', '1.0')
  encoded.append('ce-id', row.id)
  encoded.append('ce-source', `/${service}`)
  encoded.append('ce-type', typeOfSubject(row.subject))
  encoded.append('ce-time', row.created_at.toISOString())
  encoded.append('ce-subject', row.aggregate_id)
  encoded.append('ce-aggregateversion', String(row.aggregate_version))
  encoded.append('ce-datacontenttype', 'application/json')
  if (row.trace_parent !== null) encoded.append('traceparent', row.trace_parent)
  return encoded
}

/**
 * Understands a message: its subject is one of `events`, its type is of the major version we know, and its data fits
 * the schema. Fields we do not know are kept.
 *
 * @throws {FromNewerVersion} when another version may understand it. @throws {Unprocessable} naming what is wrong, never a value.
 */
export function decode(events: readonly Event[], message: IncomingMessage): Message {
  const event = events.find(({ subject }) => subject === message.subject)
  if (event === undefined) throw new FromNewerVersion(`The subject ${message.subject} is not one this consumer knows`)
  // Read once: the library's own look-up goes through all headers each time.
  const headers = new Map(message.headers)
  const header = (name: string): string => headers.get(name)?.[0] ?? ''
  const id = header('ce-id')
  const version = header('ce-aggregateversion')
  const time = new Date(header('ce-time'))
  const type = header('ce-type')
  if (isNewer(type, event.type)) throw new FromNewerVersion(`ce-type is not ${event.type}`)
  if (type !== event.type) throw new Unprocessable(`ce-type is not ${event.type}`)
  if (!isUuid(id)) throw new Unprocessable('ce-id is not a UUID')
  if (!VERSION.test(version)) throw new Unprocessable('ce-aggregateversion is not a positive number')
  if (header('ce-subject') === '') throw new Unprocessable('ce-subject is missing')
  if (!isText(header('ce-subject'))) throw new Unprocessable('ce-subject is not text')
  if (!isTime(header('ce-time'))) throw new Unprocessable('ce-time is not a time')
  const decoded = {
    id,
    event,
    subject: event.subject,
    data: parse(event, message.data),
    aggregateId: header('ce-subject'),
    aggregateVersion: Number(version),
    time,
    // Nobody loses an event because of what only traces are made of.
    traceParent: TRACE_PARENT.test(header('traceparent')) ? header('traceparent') : undefined,
  }
  return decoded satisfies MessageOf<Event>
}

function parse<E extends Event>(event: E, body: Uint8Array): DataOf<E> {
  let data: unknown
  let text: string
  try {
    text = utf8.decode(body)
    data = JSON.parse(text)
  } catch (error) {
    throw new Unprocessable('The body is not JSON in UTF-8', { cause: error })
  }
  // JSON in UTF-8 has such characters only as escapes.
  if (text.includes('\\u') && !isTextThroughout(data)) {
    throw new Unprocessable('The body has U+0000 or half of a surrogate pair, which is no text that can be kept')
  }
  let validate = validators.get(event.data)
  if (validate === undefined) {
    validate = ajv.compile(event.data)
    validators.set(event.data, validate)
  }
  if (!validate(data)) {
    const errors = (validate.errors ?? []).slice(0, REASON_ERRORS_MAX)
    throw new Unprocessable(errors.map(({ instancePath, message }) => `${instancePath || '/'} ${message}`).join('; '))
  }
  return data as DataOf<E>
}

/** Whether Postgres can keep it. */
function isText(value: string): boolean {
  return !value.includes('\0') && value.isWellFormed()
}

/** However deep: a stranger chose the depth, so no call may be made for each step of it. */
function isTextThroughout(data: unknown): boolean {
  const waiting: unknown[] = [data]
  while (waiting.length > 0) {
    const value = waiting.pop()
    if (typeof value === 'string' && !isText(value)) return false
    if (typeof value !== 'object' || value === null) continue
    for (const [key, inner] of Object.entries(value)) {
      if (!isText(key)) return false
      waiting.push(inner)
    }
  }
  return true
}

/** Whether a type is a later major version of the one we know. */
function isNewer(type: string, known: string): boolean {
  const [, name, major] = /^(.+)\.v(\d{1,9})$/.exec(type) ?? []
  const [, knownName, knownMajor] = /^(.+)\.v(\d{1,9})$/.exec(known) ?? []
  return name === knownName && Number(major) > Number(knownMajor)
}

/** An event that a newer version of the contracts no longer has keeps its first type. */
function typeOfSubject(subject: string): string {
  return allEvents.get(subject)?.type ?? `saas.${subject.slice('msg.'.length)}.v1`
}
