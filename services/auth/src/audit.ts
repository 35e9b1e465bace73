import type { AuditAction, AuditEntry } from '@saas/contracts'
import { IdPage, sql, type Database, type Transaction } from '@saas/state'
import type { Clock } from '@saas/config'
import { v7 as uuidv7 } from 'uuid'
import type { Client } from './client.ts'
import { hmac, type DerivedKeys } from './derived-keys.ts'

const FAILURE_WINDOW_MS = 60_000
const SIGN_INS_MAX = 1_000
const CHANGES_MAX = 1_000
const SEQUENCE_END = 2 ** 31

const insertEntry = sql(
  'auth.insert_audit_entry',
  `insert into audit_entry (id, at, action, account_id, by_id, network, device, detail)
   values ($1, $2, $3, $4, $5, $6, $7, $8)`,
)

// The account is found by the statement that writes the entry: read before, the row of a known address took 10 to 20 µs more than none, which a
// thousand wrong codes could tell.
const insertFailure = sql(
  'auth.insert_failed_sign_in',
  `insert into audit_entry (id, at, action, account_id, network, device, detail, once_key)
   values ($1, $2, 'sign-in-failed', (select id from account where email_key = $3), $4, $5, $6, $7)
   on conflict (once_key) do nothing`,
)

interface EntryRow extends Omit<AuditEntry, 'at'> {
  readonly at: Date
}

const selectEntries = sql<EntryRow>(
  'auth.audit_entries',
  `select entry.id, entry.at, entry.action, entry.account_id as "accountId", concerned.email as account,
     entry.by_id as "byId", author.email as by, entry.network, entry.device, entry.detail
   from audit_entry as entry
   left join account as concerned on concerned.id = entry.account_id
   left join account as author on author.id = entry.by_id
   where entry.id < $1
     and ($2::text is null or entry.action = $2)
     and ($3::uuid is null or entry.account_id = $3)
     and ($4::uuid is null or entry.by_id = $4)
     and ($5::timestamptz is null or entry.at >= $5)
     and ($6::timestamptz is null or entry.at < $6)
   order by entry.id desc
   limit $7`,
)

const selectSignIns = sql<{ at: Date; action: string; network: string | null; device: string | null }>(
  'auth.sign_ins',
  `select at, action, network, device
   from audit_entry
   where account_id = $1 and action in ('sign-in', 'sign-in-failed')
   order by id desc
   limit ${SIGN_INS_MAX}`,
)

interface ChangeRow {
  readonly at: Date
  readonly action: string
  readonly by: 'you' | 'somebody else' | null
  readonly to: 'you' | 'somebody else'
  readonly network: string | null
  readonly device: string | null
  readonly detail: Readonly<Record<string, unknown>>
}

// What somebody did is theirs, and where they were; whom they did it to, and what became of that account, is not. Nor is where an
// administrator was who changed theirs.
const selectChanges = sql<ChangeRow>(
  'auth.changes',
  `select at, action,
     case when by_id = $1 then 'you' when by_id is not null then 'somebody else' end as by,
     case when account_id = $1 then 'you' else 'somebody else' end as "to",
     case when by_id = $1 or by_id is null then network end as network,
     case when by_id = $1 or by_id is null then device end as device,
     case when account_id = $1 then detail else '{}' end as detail
   from (
     (
       select id, at, action, account_id, by_id, network, device, detail
       from audit_entry
       where account_id = $1 and action not in ('sign-in', 'sign-in-failed')
       order by id desc
       limit ${CHANGES_MAX}
     )
     union all
     (
       select id, at, action, account_id, by_id, network, device, detail
       from audit_entry
       where by_id = $1 and account_id <> $1
       order by id desc
       limit ${CHANGES_MAX}
     )
   ) as entry
   order by id desc
   limit ${CHANGES_MAX}`,
)

/** What an entry says beyond its time. */
export interface AuditFact {
  readonly action: AuditAction
  readonly accountId: string
  /** Whoever did it; left out where nobody was signed in. */
  readonly byId?: string
  readonly client?: Client
  readonly detail?: Readonly<Record<string, unknown>>
}

/** What administrators look for. */
export interface AuditFilter {
  readonly limit?: number
  readonly cursor?: string
  readonly action?: AuditAction
  readonly accountId?: string
  readonly byId?: string
  readonly from?: string
  readonly until?: string
}

/**
 * Who did what to which account. The table takes no change and no deletion from the role the service runs as; entries are
 * written in the transaction that does what they say, so neither is there without the other.
 */
export class Audit {
  readonly #database: Database
  readonly #clock: Clock
  readonly #keys: DerivedKeys
  #sequence = 0

  constructor(options: { readonly database: Database; readonly clock: Clock; readonly keys: DerivedKeys }) {
    this.#database = options.database
    this.#clock = options.clock
    this.#keys = options.keys
  }

  async record(tx: Transaction, { action, accountId, byId, client, detail = {} }: AuditFact): Promise<void> {
    const now = this.#clock.now()
    const where = [client?.network ?? null, client?.device ?? null]
    await tx.query(insertEntry, [
      this.idAt(now),
      now,
      action,
      accountId,
      byId ?? null,
      ...where,
      JSON.stringify(detail),
    ])
  }

  /**
   * Writes a failed sign-in down, at most one a minute for an address that was tried, a place it was tried from, and how. It is
   * the same work whether the address has an account or not.
   */
  async recordFailure(emailKey: string, client: Client, by: string): Promise<void> {
    const now = this.#clock.now()
    const minute = String(Math.floor(now.getTime() / FAILURE_WINDOW_MS))
    const onceKey = hmac(this.#keys.lookup, 'failed sign-in', emailKey, client.network, minute, by).toString(
      'base64url',
    )
    const values = [this.idAt(now), now, emailKey, client.network, client.device, JSON.stringify({ by }), onceKey]
    await this.#database.write(insertFailure, values)
  }

  /** Newest first. */
  async list(filter: AuditFilter): Promise<{ items: AuditEntry[]; next: string | null }> {
    const page = new IdPage(filter)
    const rows = await this.#database.read(selectEntries, [
      page.before,
      filter.action ?? null,
      filter.accountId ?? null,
      filter.byId ?? null,
      filter.from ?? null,
      filter.until ?? null,
      page.rowsMax,
    ])
    return page.of(rows, (row) => ({ ...row, at: row.at.toISOString() }))
  }

  /** The id of an entry: by the service's clock, and counted within it, so that pages are in the order in which a replica wrote. */
  idAt(now: Date): string {
    this.#sequence = (this.#sequence + 1) % SEQUENCE_END
    return uuidv7({ msecs: now.getTime(), seq: this.#sequence })
  }

  /** For whoever asks what is kept about them. */
  async signInsOf(accountId: string): Promise<Record<string, unknown>[]> {
    const rows = await this.#database.read(selectSignIns, [accountId])
    return rows.map(({ at, action, network, device }) => ({ at: at.toISOString(), action, network, device }))
  }

  /** What was done to the account, and by its owner to others, whom it does not name; for whoever asks what is kept about them. */
  async changesOf(accountId: string): Promise<Record<string, unknown>[]> {
    const rows = await this.#database.read(selectChanges, [accountId])
    return rows.map(({ at, ...change }) => Object.assign({ at: at.toISOString() }, change))
  }
}
