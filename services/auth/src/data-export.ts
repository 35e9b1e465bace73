import { setTimeout as wait } from 'node:timers/promises'
import {
  authEvents,
  exportEvents,
  wantsMail,
  optionalMailKinds,
  type DataExport,
  type MailPreferences,
  type ServiceName,
} from '@saas/contracts'
import { sql, type Bus, type Database, type MessageOf, type Transaction } from '@saas/state'
import { newId, type Clock } from '@saas/config'
import { emission, emit } from './account-events.ts'
import { profileOf } from './account.ts'
import type { Accounts } from './accounts.ts'
import type { Audit } from './audit.ts'
import type { Client } from './client.ts'
import type { Factors } from './factors/factors.ts'
import type { Sessions } from './sessions.ts'
import type { Throttle } from './throttle.ts'

/** How long a request waits for the other services; they need some milliseconds. */
const PATIENCE_MS = 8_000
const LOOK_EVERY_MS = 100
/** Asking again within this time gets the same export, so that a page that repeats its request asks nobody twice. */
const REUSED_FOR_MS = 60_000
export const EXPORT_KEPT_MS = 3_600_000
const answering = Object.values(exportEvents).map(({ publishedBy }) => publishedBy)

const insertExport = sql(
  'auth.insert_data_export',
  'insert into data_export (id, account_id, requested_at) values ($1, $2, $3)',
)

const selectRecent = sql<{ id: string }>(
  'auth.recent_data_export',
  'select id from data_export where account_id = $1 and requested_at > $2 order by id desc limit 1',
)

interface Part {
  readonly service: string
  readonly items: readonly Record<string, unknown>[]
  readonly cart: readonly Record<string, unknown>[] | null
}

const selectParts = sql<Part>(
  'auth.data_export_parts',
  'select service, items, cart from data_export_part where export_id = $1 order by service, part',
)

const selectProgress = sql<{ service: string; isWhole: boolean }>(
  'auth.data_export_progress',
  `select service, count(*) = max(parts) as "isWhole"
   from data_export_part
   where export_id = $1
   group by service`,
)

// An export that was forgotten, or whose account is gone, takes no parts any more.
const insertParts = sql(
  'auth.insert_data_export_parts',
  `insert into data_export_part (export_id, service, part, parts, items, cart)
   select e.id, p.service, p.part, p.parts, p.items, p.cart
   from jsonb_to_recordset($1::jsonb) as p (
     export_id uuid, user_id uuid, service text, part integer, parts integer, items jsonb, cart jsonb
   )
   join data_export as e on e.id = p.export_id and e.account_id = p.user_id
   on conflict (export_id, service, part) do nothing`,
)

type PartMade = MessageOf<(typeof exportEvents)[keyof typeof exportEvents]>

interface DataExportsContext {
  readonly database: Database
  readonly bus: Bus
  readonly clock: Clock
  readonly accounts: Accounts
  readonly audit: Audit
  readonly factors: Pick<Factors, 'list'>
  readonly sessions: Sessions
  readonly throttle: Throttle
}

/** A copy of all that is kept about somebody, collected from every service by events. */
export class DataExports {
  readonly #context: DataExportsContext

  constructor(context: DataExportsContext) {
    this.#context = context
  }

  /** Starts taking in what the services answer. */
  follow(): void {
    this.#context.bus.consume({
      durable: 'auth',
      events: Object.values(exportEvents),
      apply: async (tx, messages) => await takeParts(tx, messages),
    })
  }

  /**
   * The export, or `undefined` when a service has not answered yet: the next call gets the same one.
   *
   * @throws {ProblemError} `too-many-requests`
   */
  async obtain(
    caller: { readonly userId: string; readonly sessionId: string },
    client: Client,
    traceParent: string,
    signal: AbortSignal,
  ): Promise<DataExport | undefined> {
    const exportId = (await this.#recent(caller.userId)) ?? (await this.#request(caller.userId, client, traceParent))
    const until = performance.now() + PATIENCE_MS
    while (!(await this.#isWhole(exportId))) {
      if (performance.now() > until) return undefined
      await wait(LOOK_EVERY_MS, undefined, { signal })
    }
    return await this.#assemble(exportId, caller)
  }

  async #recent(accountId: string): Promise<string | undefined> {
    const since = new Date(this.#context.clock.now().getTime() - REUSED_FOR_MS)
    const [recent] = await this.#context.database.read(selectRecent, [accountId, since])
    return recent?.id
  }

  async #request(accountId: string, client: Client, traceParent: string): Promise<string> {
    await this.#context.throttle.take('export', accountId, client.network)
    const exportId = newId()
    const requestedAt = this.#context.clock.now()
    await this.#context.database.transaction(async (tx) => {
      await tx.query(insertExport, [exportId, accountId, requestedAt])
      await this.#context.audit.record(tx, { action: 'data-exported', accountId, byId: accountId, client })
      const data = { exportId, userId: accountId, requestedAt: requestedAt.toISOString() }
      await emit(tx, accountId, [emission(authEvents.exportRequested, data)], traceParent)
    })
    this.#context.bus.nudge()
    return exportId
  }

  async #isWhole(exportId: string): Promise<boolean> {
    const progress = await this.#context.database.read(selectProgress, [exportId])
    return answering.every((service) => progress.some((row) => row.service === service && row.isWhole))
  }

  async #assemble(
    exportId: string,
    { userId, sessionId }: { readonly userId: string; readonly sessionId: string },
  ): Promise<DataExport> {
    const account = await this.#context.accounts.byId(userId)
    const parts = await this.#context.database.read(selectParts, [exportId])
    const itemsOf = (service: ServiceName): Record<string, unknown>[] =>
      parts.filter((part) => part.service === service).flatMap(({ items }) => items)
    const preferences = optionalMailKinds.map((kind) => [kind, wantsMail(account.preferences, kind)])
    return {
      exportedAt: this.#context.clock.now().toISOString(),
      profile: profileOf(account),
      preferences: Object.fromEntries(preferences) as MailPreferences,
      sessions: await this.#context.sessions.history(userId, sessionId),
      factors: await this.#context.factors.list(userId),
      signIns: await this.#context.audit.signInsOf(userId),
      changes: await this.#context.audit.changesOf(userId),
      catalogueChanges: itemsOf('products'),
      orders: itemsOf('orders'),
      cart: parts.flatMap(({ cart }) => cart ?? []),
      mails: itemsOf('notifications'),
    }
  }
}

async function takeParts(tx: Transaction, messages: readonly PartMade[]): Promise<void> {
  const rows = messages.map(({ event, data }) => ({
    export_id: data.exportId,
    user_id: data.userId,
    service: event.publishedBy,
    part: data.part,
    parts: data.parts,
    items: data.items,
    ...(data.cart === undefined ? {} : { cart: data.cart }),
  }))
  await tx.query(insertParts, [JSON.stringify(rows)])
}
