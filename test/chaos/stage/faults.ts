import { headers as emptyHeaders } from '@nats-io/transport-node'
import { eventually } from '@saas/testing'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { INJECTED_HEADER, type Ledger } from '../checkers/index.ts'
import type { Dice } from './dice.ts'
import type { StatefulService } from './service-child.ts'
import type { Stack, Victim } from './stack.ts'

const STREAM = 'messages'
const REPEATED_MAX = 30
const CONNECTIONS_LEFT = 2
const STREAM_ANSWERS_WITHIN_MS = 2_000

/** What a fault is done to, and how long it may last. */
interface Strike {
  readonly stack: Stack
  readonly dice: Dice
  readonly ledger: Ledger
  readonly lengthMsMax: number
}

/** Which messages there are, as the stream says. */
interface StreamState {
  readonly first_seq: number
  readonly last_seq: number
  readonly messages: number
}

/** Breaks something and resolves when it is mended. */
type Fault = (strike: Strike) => Promise<void>

function lengthOf({ dice, lengthMsMax }: Strike): number {
  return dice.between(Math.ceil(lengthMsMax / 4), lengthMsMax)
}

function anyService({ stack, dice }: Strike): StatefulService {
  return dice.pick(Object.keys(stack.databases) as StatefulService[])
}

async function killed(victim: Victim, strike: Strike): Promise<void> {
  const { stack, dice, ledger } = strike
  const number = isService(victim) ? dice.between(0, stack.replicas(victim).length - 1) : 0
  await stack.kill(victim, number)
  if (victim === 'notifications') {
    ledger.workerKills += 1
    // What the dead worker held to send would lie still for two minutes: here they pass at once.
    await eventually(async () => {
      await stack.databases.notifications?.query(
        `update mail set due_at = now() where lease is not null and status = 'due'`,
      )
    })
  }
  await delay(lengthOf(strike) / 4)
  await stack.restart(victim, number)
}

function isService(victim: Victim): victim is StatefulService {
  return ['auth', 'products', 'orders', 'notifications'].includes(victim)
}

/** Publishes messages of the stream again, under their ids but as new ones to the stream, in any order. */
async function repeated(strike: Strike): Promise<void> {
  const { dice } = strike
  await again(strike, ({ first_seq, last_seq }) =>
    Array.from({ length: REPEATED_MAX }, () => dice.between(first_seq, last_seq)),
  )
}

/** Each message of the stream comes again, in any order: of a short stream, so that nothing is left to chance. */
export async function allRepeated(strike: Strike): Promise<void> {
  await again(strike, ({ first_seq, messages }) => Array.from({ length: messages }, (_, n) => first_seq + n))
}

/** Cut off half-way it begins again: more repetitions do no harm. */
async function again(strike: Strike, choose: (state: StreamState) => number[]): Promise<void> {
  await eventually(() => publishAgain(strike, choose))
}

async function publishAgain({ stack, dice }: Strike, choose: (state: StreamState) => number[]): Promise<void> {
  const manager = await stack.bus.manager()
  const { state } = await manager.streams.info(STREAM)
  if (state.messages === 0) return
  const client = await stack.bus.administrator()
  for (const seq of dice.shuffled(choose(state))) {
    const message = await manager.streams.getMessage(STREAM, { seq })
    if (message === null) continue
    const headers = emptyHeaders()
    for (const [name, values] of message.header) {
      if (name !== 'Nats-Msg-Id') for (const value of values) headers.append(name, value)
    }
    headers.set(INJECTED_HEADER, 'again')
    client.publish(message.subject, message.data, { headers })
  }
  await client.flush()
}

/** Publishes a message that its consumer cannot understand. */
async function injected({ stack, ledger }: Strike, subject: string, type: string, body: string): Promise<void> {
  const id = randomUUID()
  const headers = emptyHeaders()
  const fields = {
    'ce-id': id,
    'ce-type': type,
    'ce-subject': randomUUID(),
    'ce-time': new Date().toISOString(),
    'ce-aggregateversion': '1',
    [INJECTED_HEADER]: 'made up',
  }
  for (const [name, value] of Object.entries(fields)) headers.set(name, value)
  ledger.injected.add(id)
  ledger.mustEnd.add(id)
  // Struck just before, NATS may be coming back: only what the stream took has to end somewhere.
  await eventually(async () => {
    const client = await stack.bus.administrator()
    const answer = await client.request(subject, body, { headers, timeout: STREAM_ANSWERS_WITHIN_MS })
    if (!('seq' in answer.json<object>())) throw new Error(`The stream did not take a message: ${answer.string()}`)
  })
}

/** What may go wrong. Each is mended when it resolves. */
export const faults: Readonly<Record<string, Fault>> = {
  'answers of Postgres are lost after the commit': async (strike) => {
    const wire = strike.stack.wires(anyService(strike)).Postgres
    wire.loseAnswers(strike.dice.between(1, 4))
    await delay(lengthOf(strike))
    wire.loseAnswers(0)
  },
  'acknowledgements of NATS are lost': async (strike) => {
    const wire = strike.stack.wires(anyService(strike)).NATS
    wire.loseAnswers(strike.dice.between(1, 4))
    await delay(lengthOf(strike))
    wire.loseAnswers(0)
  },
  'messages come again and in another order': repeated,
  'every connection of a service is cut': async (strike) => {
    const { Postgres, NATS } = strike.stack.wires(anyService(strike))
    Postgres.cut()
    NATS.cut()
    await Promise.resolve()
  },
  'orders is killed': (strike) => killed('orders', strike),
  'products is killed': (strike) => killed('products', strike),
  'notifications is killed': (strike) => killed('notifications', strike),
  'NATS is killed': (strike) => killed('NATS', strike),
  'Postgres is killed': (strike) => killed('Postgres', strike),
  'the mail server is killed': (strike) => killed('mail server', strike),
  'auth is down': (strike) => killed('auth', strike),
  'the edge is killed': (strike) => killed('nginx', strike),
  'the object store is down': (strike) => killed('object store', strike),
  'the stream is deleted': async ({ stack, ledger }) => {
    await eventually(() => stack.bus.deleteStream())
    // What the test itself had put there is in no outbox.
    ledger.mustEnd.clear()
  },
  'Postgres stops immediately': async (strike) => {
    await strike.stack.child('Postgres').kill('SIGQUIT')
    await delay(lengthOf(strike) / 4)
    await strike.stack.restart('Postgres')
  },
  'statements are cancelled and backends ended': async (strike) => {
    const service = anyService(strike)
    const call = strike.dice.pick(['pg_cancel_backend', 'pg_terminate_backend'])
    for (let count = 0; count < 5; count += 1) {
      await strike.stack.databases[service]?.query(
        `select ${call}(pid) from pg_stat_activity where usename = $1 and random() < 0.5`,
        [service],
      )
      await delay(lengthOf(strike) / 5)
    }
  },
  'the connections of a service are exhausted': async (strike) => {
    const service = anyService(strike)
    const database = strike.stack.databases[service]
    await database?.query(`alter role ${service} connection limit ${CONNECTIONS_LEFT}`)
    await database?.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [service])
    await delay(lengthOf(strike))
    await database?.query(`alter role ${service} connection limit -1`)
  },
  'rows are locked by somebody else': async (strike) => {
    const table = strike.dice.pick(['product', 'stock_movement', 'reservation', 'inbox'])
    await strike.stack.databases.products?.query(
      `do $$ begin lock table ${table} in exclusive mode; perform pg_sleep(${lengthOf(strike) / 1_000}); end $$`,
    )
  },
  'the mail server asks to come again': (strike) => mailsUnder('refuse-later', strike),
  'the mail server hangs': (strike) => mailsUnder('hang', strike),
  'the mail server cuts after the mail': (strike) => mailsUnder('cut', strike),
  'the mail server refuses for good': (strike) => mailsUnder('refuse', strike),
  'a service is frozen and goes on': async (strike) => {
    const service = anyService(strike)
    const child = strike.stack.child(service, strike.dice.between(0, strike.stack.replicas(service).length - 1))
    child.pause()
    await delay(lengthOf(strike))
    child.resume()
  },
  'a service and Postgres do not hear each other': async (strike) => {
    const wire = strike.stack.wires(anyService(strike)).Postgres
    wire.pause()
    await delay(lengthOf(strike))
    wire.resume()
  },
  'a service and NATS do not hear each other': async (strike) => {
    const wire = strike.stack.wires(anyService(strike)).NATS
    wire.pause()
    await delay(lengthOf(strike))
    wire.resume()
  },
  'a message is poison': (strike) =>
    injected(strike, 'msg.orders.order.placed', 'saas.orders.order.placed.v1', '{"orderId":7}'),
  'an event comes from the future': (strike) =>
    injected(strike, 'msg.orders.order.placed', 'saas.orders.order.placed.v2', '{"orderId":7}'),
}

async function mailsUnder(mode: 'refuse-later' | 'hang' | 'cut' | 'refuse', strike: Strike): Promise<void> {
  strike.stack.mail.behave(mode)
  await delay(lengthOf(strike))
  strike.stack.mail.behave('accept')
}
