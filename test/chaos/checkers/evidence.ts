import type { Order } from '@saas/contracts'
import type { KeptMail } from '../stage/mail-server.ts'
import type { StatefulService } from '../stage/service-child.ts'
import type { StreamMessage } from './stream.ts'

/** A database as the checkers read it. */
export interface Queryable {
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>
}

/** One request to order, and what came of it. Status 0: no answer. */
export interface PlaceAnswer {
  readonly userId: string
  /** Undefined: an order of the cart without a key. */
  readonly key: string | undefined
  readonly status: number
  readonly location?: string | undefined
  readonly order?: Order | undefined
}

/** An outbox after an outage: how many messages waited in it at the end of the outage, and how long until none did. */
export interface Drain {
  readonly service: string
  readonly waiting: number
  readonly ms: number
}

/** What clients did, what they were told, and what was done to the parts: the other half of every promise. */
export class Ledger {
  readonly placed: PlaceAnswer[] = []
  /** Cancellations that were answered with 200. */
  readonly cancelled: string[] = []
  readonly stockChanges: {
    readonly key: string
    readonly productId: string
    readonly delta: number
    readonly status: number
  }[] = []
  readonly products: { readonly id: string; readonly stock: number }[] = []
  /** How often somebody who orders nothing but the cart filled it. */
  readonly cartFills = new Map<string, number>()
  /** Tokens, codes and passwords that were live: none may be found where it does not belong. */
  readonly secrets = new Set<string>()
  readonly drains: Drain[] = []
  /** Ids of messages that were made up by the test. */
  readonly injected = new Set<string>()
  /** Those of them that must be found applied or dead at the end. */
  readonly mustEnd = new Set<string>()
  /** How many workers were killed that may have been sending. */
  workerKills = 0
}

/** Everything that the checkers look at. A part that did not run is left out, and so are its promises. */
export interface Evidence {
  readonly ledger: Ledger
  readonly databases: Readonly<Partial<Record<StatefulService, Queryable>>>
  /** The whole stream, in its order, without what the test itself published again. */
  readonly stream?: readonly StreamMessage[] | undefined
  readonly mails?: readonly KeptMail[] | undefined
  /** The text of every log. */
  readonly logs?: readonly { readonly name: string; readonly text: string }[] | undefined
}

/** A promise that was broken, and how. */
export interface Violation {
  readonly promise: string
  readonly detail: string
}

/** Looks for one promise's violations. */
export type Checker = (evidence: Evidence) => Promise<readonly string[]>
export type Checkers = Readonly<Record<string, Checker>>

/** Every row as one violation, worded by its columns. */
export async function rowsOf(
  database: Queryable | undefined,
  text: string,
  values: readonly unknown[] = [],
): Promise<string[]> {
  if (database === undefined) return []
  const rows = await database.query(text, values)
  return rows.map((row) => JSON.stringify(row))
}
