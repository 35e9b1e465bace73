import { authEvents, ProblemError, problems, type DataOf, type Session } from '@saas/contracts'
import { sql, type Bus, type Database, type Transaction } from '@saas/state'
import { newId, type Clock } from '@saas/config'
import type { AccessTokens } from './access-token.ts'
import { emission, emit, recipientOf, sessionRevoked } from './account-events.ts'
import { accountColumns, type Account } from './account.ts'
import type { Audit } from './audit.ts'
import type { Client } from './client.ts'
import { sha256, type DerivedKeys } from './derived-keys.ts'
import { usableRoles } from './factors/required.ts'
import {
  childOf,
  judgeRefresh,
  newSecret,
  readRefreshToken,
  writeRefreshToken,
  type RefreshToken,
  type RefreshVerdict,
  type TokenChain,
} from './refresh-token.ts'
import type { Revocations } from './revocations.ts'
import { endAndRevokeSessions, type EndReason } from './session-end.ts'

const DAY_MS = 86_400_000
const LIFETIME_MS = 30 * DAY_MS
export const IDLE_MS = 7 * DAY_MS
export const LIVE_SESSIONS_MAX = 50
const HISTORY_MAX = 1_000

/** A session just opened or refreshed, with the tokens it is used by. */
export interface OpenSession {
  readonly account: Account
  readonly accessToken: string
  readonly refreshToken: string
  /** Whether roles are withheld, because they need a second factor that this session has not passed. */
  readonly isSecondFactorRequired: boolean
}

interface SessionRow {
  readonly id: string
  readonly device: string
  readonly address: string
  readonly createdAt: Date
  readonly lastSeenAt: Date
}

const insertSession = sql<{ knownDevices: number; sameDevice: number }>(
  'auth.insert_session',
  `with opened as (
     insert into session (
       id, account_id, device, address, created_at, last_seen_at, authenticated_at, expires_at, idle_expires_at, token_hash,
       second_factor_at
     )
     values ($1, $2, $3, $4, $5, $5, $5, $6, $7, $8, $9)
   )
   select count(*) as "knownDevices", count(*) filter (where device = $3) as "sameDevice"
   from session
   where account_id = $2`,
)

const selectSurplus = sql<{ id: string }>(
  'auth.surplus_sessions',
  `select id
   from session
   where account_id = $1 and ended_at is null and expires_at > $2 and idle_expires_at > $2
   order by last_seen_at desc, id desc
   offset ${LIVE_SESSIONS_MAX}`,
)

interface SessionOfAccount extends Account, TokenChain {
  readonly passedSecondFactor: boolean
}

const liveSession = `select ${accountColumns}, session.second_factor_at is not null as "passedSecondFactor",
     session.token_hash as "tokenHash", session.parent_hash as "parentHash",
     session.parent_exchanged_at as "parentExchangedAt", session.grandparent_hash as "grandparentHash",
     session.grandparent_exchanged_at as "grandparentExchangedAt"
   from session
   join account on account.id = session.account_id
   where session.id = $1 and session.expires_at > $2 and session.idle_expires_at > $2 and session.ended_at is null`

const selectSession = sql<SessionOfAccount>('auth.live_session', liveSession)

const lockSession = sql<SessionOfAccount>('auth.lock_live_session', `${liveSession} for no key update of session`)

// Every transaction that ends sessions locks their account first, so that no two wait for each other.
const lockOwner = sql('auth.lock_owner', 'select from account where id = $1 for no key update')

const touchSession = sql(
  'auth.touch_session',
  `update session
   set last_seen_at = $2, idle_expires_at = $3, address = $4
   where id = $1`,
)

const rotateSession = sql(
  'auth.rotate_session',
  `update session
   set token_hash = $2,
     parent_hash = token_hash,
     parent_exchanged_at = $3,
     grandparent_hash = parent_hash,
     grandparent_exchanged_at = parent_exchanged_at
   where id = $1`,
)

const selectSessions = sql<SessionRow>(
  'auth.sessions',
  `select id, device, address, created_at as "createdAt", last_seen_at as "lastSeenAt"
   from session
   where account_id = $1 and ended_at is null and expires_at > $2 and idle_expires_at > $2
   order by created_at desc, id desc
   limit ${LIVE_SESSIONS_MAX}`,
)

// Rows are kept for a while after they have ended: they tell which devices are known.
const selectHistory = sql<SessionRow & { readonly endedAt: Date | null }>(
  'auth.session_history',
  `select id, device, address, created_at as "createdAt", last_seen_at as "lastSeenAt",
     coalesce(ended_at, case when least(expires_at, idle_expires_at) <= $2 then least(expires_at, idle_expires_at) end) as "endedAt"
   from session
   where account_id = $1
   order by created_at desc, id desc
   limit ${HISTORY_MAX}`,
)

/** A session that is about to be written. */
export function newSession(now: Date): { id: string; secret: Buffer; expiresAt: Date; idleExpiresAt: Date } {
  const [expiresAt, idleExpiresAt] = [new Date(now.getTime() + LIFETIME_MS), new Date(now.getTime() + IDLE_MS)]
  return { id: newId(), secret: newSecret(), expiresAt, idleExpiresAt }
}

/** What the event of a new session says. */
export function sessionOpened(
  account: Account,
  sessionId: string,
  { device, address }: Client,
  now: Date,
  newDevice: boolean,
): DataOf<typeof authEvents.sessionOpened> {
  return { ...recipientOf(account), sessionId, newDevice, device, address, openedAt: now.toISOString() }
}

interface SessionsContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly keys: DerivedKeys
  readonly accessTokens: AccessTokens
  readonly audit: Audit
  readonly revocations: Revocations
}

/** Sessions: opened by signing in, kept alive by refresh tokens, ended by their owner, an administrator or a thief. */
export class Sessions {
  readonly #context: SessionsContext

  constructor(context: SessionsContext) {
    this.#context = context
  }

  /** Opens a session in the transaction that decided to, the account's row being locked. */
  async open(
    tx: Transaction,
    account: Account,
    client: Client,
    traceParent: string,
    { passedSecondFactor = false } = {},
  ): Promise<OpenSession> {
    const now = this.#context.clock.now()
    const { id, secret, expiresAt, idleExpiresAt } = newSession(now)
    const expiry = [expiresAt, idleExpiresAt]
    const values: unknown[] = [id, account.id, client.device, client.address, now, ...expiry, sha256(secret)]
    values.push(passedSecondFactor ? now : null)
    // Sent together, as below: while passwords are hashed every round trip waits for a core.
    const [[devices], surplus] = await Promise.all([
      tx.query(insertSession, values),
      tx.query(selectSurplus, [account.id, now]),
    ])
    for (const { id: only } of surplus) await endAndRevokeSessions(tx, account.id, { only }, 'too-many', now)
    const isNewDevice = (devices?.knownDevices ?? 0) > 0 && devices?.sameDevice === 0
    const opened = emission(authEvents.sessionOpened, sessionOpened(account, id, client, now, isNewDevice))
    const accountId = account.id
    await Promise.all([
      emit(tx, accountId, [opened], traceParent),
      this.#context.audit.record(tx, {
        action: 'sign-in',
        accountId,
        byId: accountId,
        client,
        detail: { sessionId: id },
      }),
    ])
    return await this.tokensOf(id, { ...account, passedSecondFactor }, secret)
  }

  /**
   * Exchanges a refresh token for the next pair. Its direct parent gets the same pair again; any other token that was ours once
   * is a stolen one, of which nobody knows who has it, so the session ends.
   *
   * @throws {ProblemError} `not-signed-in`
   */
  async refresh(text: string, client: Client, traceParent: string): Promise<OpenSession> {
    const token = readRefreshToken(text, this.#context.keys)
    if (token === undefined) throw new ProblemError(problems.notSignedIn)
    const exchanged = await this.#context.database.transaction((tx) => this.#exchange(tx, token, client))
    if (exchanged === undefined) throw new ProblemError(problems.notSignedIn)
    const { verdict, account } = exchanged
    if (verdict === 'replay') {
      await this.#end(account.id, { only: token.sessionId }, 'replayed', traceParent)
      throw new ProblemError(problems.notSignedIn)
    }
    return await this.tokensOf(token.sessionId, account, childOf(token.secret, this.#context.keys))
  }

  /** Ends the session of a refresh token, whichever of its tokens that is. Whoever holds none is signed out already. */
  async logout(text: string, traceParent: string): Promise<void> {
    const token = readRefreshToken(text, this.#context.keys)
    if (token === undefined) return
    const [row] = await this.#context.database.read(selectSession, [token.sessionId, this.#context.clock.now()])
    if (row === undefined) return
    await this.#end(row.id, { only: token.sessionId }, 'logout', traceParent)
  }

  async list(accountId: string, currentId: string): Promise<Session[]> {
    const rows = await this.#context.database.read(selectSessions, [accountId, this.#context.clock.now()])
    return rows.map((row) => sessionOf(row, currentId))
  }

  /** All that is kept of the account's sessions, also of those that have ended. */
  async history(accountId: string, currentId: string): Promise<(Session & { readonly endedAt: string | null })[]> {
    const rows = await this.#context.database.read(selectHistory, [accountId, this.#context.clock.now()])
    return rows.map((row) => Object.assign(sessionOf(row, currentId), { endedAt: row.endedAt?.toISOString() ?? null }))
  }

  /** @throws {ProblemError} `not-found`, for somebody else's session too. */
  async revoke(accountId: string, sessionId: string, traceParent: string): Promise<void> {
    const ended = await this.#end(accountId, { only: sessionId }, 'revoked', traceParent)
    if (ended.length === 0) throw new ProblemError(problems.notFound)
  }

  async revokeOthers(accountId: string, currentId: string, traceParent: string): Promise<void> {
    await this.#end(accountId, { but: currentId }, 'revoked', traceParent)
  }

  async #end(
    accountId: string,
    which: { readonly only?: string; readonly but?: string },
    reason: EndReason,
    traceParent: string,
  ): Promise<readonly string[]> {
    const ended = await this.#context.database.transaction(async (tx) => {
      await tx.query(lockOwner, [accountId])
      const ids = await endAndRevokeSessions(tx, accountId, which, reason, this.#context.clock.now())
      const emissions = ids.map((id) => sessionRevoked(accountId, id))
      if (ids.length > 0) await emit(tx, accountId, emissions, traceParent)
      return ids
    })
    await this.#publish()
    return ended
  }

  async #exchange(
    tx: Transaction,
    token: RefreshToken,
    client: Client,
  ): Promise<{ readonly verdict: RefreshVerdict; readonly account: SessionOfAccount } | undefined> {
    const now = this.#context.clock.now()
    const [row] = await tx.query(lockSession, [token.sessionId, now])
    if (row === undefined || row.disabledAt !== null) return undefined
    const verdict = judgeRefresh(row, token, now)
    if (verdict === 'newest') {
      await tx.query(rotateSession, [token.sessionId, sha256(childOf(token.secret, this.#context.keys)), now])
    }
    if (verdict !== 'replay') {
      await tx.query(touchSession, [token.sessionId, now, new Date(now.getTime() + IDLE_MS), client.address])
    }
    return { verdict, account: row }
  }

  /** The tokens of a session, once it is in the database. */
  async tokensOf(
    sessionId: string,
    account: Account & Pick<SessionOfAccount, 'passedSecondFactor'>,
    secret: Uint8Array,
  ): Promise<OpenSession> {
    const { id: userId, securityVersion, passedSecondFactor } = account
    const roles = usableRoles(account.roles, passedSecondFactor)
    const isSecondFactorRequired = roles !== account.roles
    const accessToken = await this.#context.accessTokens.sign({
      userId,
      sessionId,
      securityVersion,
      roles,
      isSecondFactorRequired,
    })
    const refreshToken = writeRefreshToken(sessionId, secret, this.#context.keys)
    return { account, accessToken, refreshToken, isSecondFactorRequired }
  }

  /** Revocations hold on this replica at once, on the others when they hear of it or read next. */
  async #publish(): Promise<void> {
    this.#context.bus.nudge()
    await this.#context.revocations.read()
  }
}

function sessionOf({ id, device, address, createdAt, lastSeenAt }: SessionRow, currentId: string): Session {
  return {
    id,
    device,
    address,
    createdAt: createdAt.toISOString(),
    lastSeenAt: lastSeenAt.toISOString(),
    current: id === currentId,
  }
}
