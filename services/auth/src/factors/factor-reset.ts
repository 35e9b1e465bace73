import { ProblemError, problems } from '@saas/contracts'
import { sql, type Bus, type Database } from '@saas/state'
import type { Clock } from '@saas/config'
import type { Logger } from '@saas/http'
import { emit, sessionRevoked } from '../account-events.ts'
import { accountColumns, type Account } from '../account.ts'
import type { Audit } from '../audit.ts'
import type { Revocations } from '../revocations.ts'
import { endAndRevokeSessions, revokeOlderTokens } from '../session-end.ts'
import { factorChanged } from './second-factors.ts'

// Its parts run on one snapshot, and each deletes from a table of its own.
const resetFactors = sql<Account>(
  'auth.reset_factors',
  `with no_totp as (delete from totp where account_id = $1),
     no_proposal as (delete from totp_proposal where account_id = $1),
     no_passkey as (delete from passkey where account_id = $1),
     no_recovery_code as (delete from recovery_code where account_id = $1)
   update account
   set security_version = security_version + 1, updated_at = $2
   where id = $1
   returning ${accountColumns}`,
)

const lockAccount = sql<{ id: string }>(
  'auth.lock_account_to_reset',
  'select id from account where id = $1 for no key update',
)

interface FactorResetContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly logger: Logger
  readonly audit: Audit
  readonly revocations: Revocations
}

/** For people who have lost every second factor and every recovery code. */
export class FactorReset {
  readonly #context: FactorResetContext

  constructor(context: FactorResetContext) {
    this.#context = context
  }

  /** @throws {ProblemError} `not-found`, `second-factor-required` for the administrator's own */
  async reset(givenId: string, by: string, traceParent: string): Promise<void> {
    const accountId = await this.#context.database.transaction(async (tx) => {
      const now = this.#context.clock.now()
      // The account is locked before its other rows, as everywhere.
      const [locked] = await tx.query(lockAccount, [givenId])
      if (locked === undefined) throw new ProblemError(problems.notFound)
      // The row's id, not the given one, which may be written in capitals.
      const { id: accountId } = locked
      if (accountId === by) {
        const detail = 'Change your own second factors on the account page.'
        throw new ProblemError(problems.secondFactorRequired, { detail })
      }
      const [account] = await tx.query(resetFactors, [accountId, now])
      if (account === undefined) throw new Error('The account was not locked')
      await endAndRevokeSessions(tx, accountId, {}, 'factor-changed', now)
      await revokeOlderTokens(tx, account, undefined, now)
      const detail = { factor: 'every', change: 'removed' }
      await this.#context.audit.record(tx, { action: 'factor-removed', accountId, byId: by, detail })
      const told = factorChanged(account, { factor: 'recovery-codes', change: 'removed' }, now)
      await emit(tx, accountId, [told, sessionRevoked(accountId, null)], traceParent)
      return accountId
    })
    this.#context.bus.nudge()
    await this.#context.revocations.read()
    this.#context.logger.warn({ userId: accountId, by }, 'second factors were taken away')
  }
}
