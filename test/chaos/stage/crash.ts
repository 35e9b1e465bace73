import { appendFileSync, existsSync, readFileSync, unlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

/**
 * Loaded before a service (`node --import`): gives a name to each moment at which the service waits for Postgres or NATS, and
 * kills the process at the one that stands in CRASH_FILE. The file is gone then, so the next start lives. `record` in
 * it writes the names of the moments that pass to CRASH_LOG instead.
 */
const file = process.env['CRASH_FILE'] ?? ''
const log = process.env['CRASH_LOG'] ?? ''
const state = join(import.meta.dirname, '../../../packages/state/src/index.ts')
const require = createRequire(state)

/** What happens whether or not there is anything to do. */
const idle = /(state\.(exists_pending|check|count_pending|select_known_stream|lock_shards|prune_\w+)|^begin|^rollback)/

function moment(name: string): void {
  if (!existsSync(file)) return
  const wanted = readFileSync(file, 'utf8')
  if (wanted === 'record') appendFileSync(log, `${name}\n`)
  if (wanted !== name) return
  unlinkSync(file)
  process.kill(process.pid, 'SIGKILL')
}

interface Query {
  readonly name?: string
  readonly text?: string
}

type Callback = (...parameters: unknown[]) => void

function nameOf(query: string | Query): string {
  if (typeof query === 'string') return query.split(/[ ;]/)[0] ?? ''
  return query.name ?? query.text ?? ''
}

/** The last statement of each connection tells one commit from another. */
const lastOf = new WeakMap<object, string>()

function momentOf(client: object, query: string | Query): string {
  const name = nameOf(query)
  if (name !== 'commit') lastOf.set(client, name)
  return name === 'commit' ? `the commit of ${lastOf.get(client)}` : name
}

const { Client } = require('pg') as { Client: { prototype: { query: (...parameters: unknown[]) => unknown } } }
const send = Client.prototype.query
Client.prototype.query = function (this: object, ...parameters: unknown[]): unknown {
  const name = momentOf(this, parameters[0] as string | Query)
  if (idle.test(name) || name === '') return send.apply(this, parameters)
  moment(`before ${name}`)
  const last = parameters.at(-1)
  if (typeof last === 'function') {
    const answered: Callback = (...answer) => {
      moment(`after ${name}`)
      ;(last as Callback)(...answer)
    }
    return send.apply(this, [...parameters.slice(0, -1), answered])
  }
  const answer = send.apply(this, parameters) as Promise<unknown>
  return answer.then((result) => {
    moment(`after ${name}`)
    return result
  })
}

const { JetStreamClientImpl } = require(join(folderOf('@nats-io/jetstream'), 'lib/jsclient.js')) as {
  JetStreamClientImpl: { prototype: { publish: (subject: string, ...rest: unknown[]) => Promise<unknown> } }
}
const publish = JetStreamClientImpl.prototype.publish
JetStreamClientImpl.prototype.publish = async function (subject, ...rest) {
  moment(`before publishing ${subject}`)
  const acknowledgement = await publish.call(this, subject, ...rest)
  moment(`after publishing ${subject}`)
  return acknowledgement
}

const { JsMsgImpl } = require(join(folderOf('@nats-io/jetstream'), 'lib/jsmsg.js')) as {
  JsMsgImpl: { prototype: { subject: string; ackAck: (...rest: unknown[]) => Promise<boolean> } }
}
const acknowledge = JsMsgImpl.prototype.ackAck
JsMsgImpl.prototype.ackAck = async function (...rest) {
  moment(`before acknowledging ${this.subject}`)
  const acknowledged = await acknowledge.apply(this, rest)
  moment(`after acknowledging ${this.subject}`)
  return acknowledged
}

function folderOf(module: string): string {
  return join(require.resolve(module), '../..')
}
