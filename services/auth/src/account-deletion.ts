import { authEvents, ProblemError, problems } from '@saas/contracts'
import { forgetDeadLetters, sql, type Bus, type Database } from '@saas/state'
import type { Clock } from '@saas/config'
import { emission, emit, sessionRevoked } from './account-events.ts'
import { accountColumns, type Account } from './account.ts'
import type { Accounts } from './accounts.ts'
import { lockAdministrators, refuseLastAdministrator } from './administrators.ts'
import type { Audit } from './audit.ts'
import type { Client } from './client.ts'
import type { MailedSecrets } from './mailed-secrets.ts'
import type { Reproof, Reproofs } from './reproof.ts'
import type { Revocations } from './revocations.ts'
import { endAndRevokeSessions, revokeOlderTokens } from './session-end.ts'

const lockAccount = sql<Account>(
  'auth.lock_leaving_account',
  `select ${accountColumns} from account where id = $1 for update`,
)

// The picture becomes nobody's, and its objects are collected. What else hangs on the account goes with it.
const deleteAccount = sql(
  'auth.delete_account',
  `with orphaned as (
     insert into avatar_orphan (avatar_key, delete_from)
     select avatar_key, $2
     from account
     where id = $1 and avatar_key is not null
   )
   delete from account where id = $1`,
)

interface AccountDeletionContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly accounts: Accounts
  readonly audit: Audit
  readonly reproofs: Reproofs
  readonly revocations: Revocations
  readonly secrets: MailedSecrets
}

/** Leaving for good. Nothing of the account is kept but an id in ledgers, which then names nobody. */
export class AccountDeletion {
  readonly #context: AccountDeletionContext

  constructor(context: AccountDeletionContext) {
    this.#context = context
  }

  /**
   * The last event about an account is its deletion, and everybody who keeps anything about the person forgets it then. The
   * address may register anew at once.
   *
   * @throws {ProblemError} `wrong-credentials`, `reauthentication-required`, `last-administrator`, `too-many-requests`
   */
  async delete(
    { userId: accountId, sessionId }: { readonly userId: string; readonly sessionId: string },
    reproof: Reproof,
    client: Client,
    traceParent: string,
  ): Promise<void> {
    await this.#context.reproofs.require(await this.#context.accounts.byId(accountId), sessionId, reproof, client)
    await this.#context.database.transaction(async (tx) => {
      await lockAdministrators(tx)
      const [account] = await tx.query(lockAccount, [accountId])
      if (account === undefined) throw new ProblemError(problems.notFound)
      await refuseLastAdministrator(tx, account)
      const now = this.#context.clock.now()
      await endAndRevokeSessions(tx, accountId, {}, 'revoked', now)
      await revokeOlderTokens(tx, { id: accountId, securityVersion: account.securityVersion + 1 }, undefined, now)
      await this.#context.secrets.voidCodes(tx, account.email)
      await forgetDeadLetters(tx, [accountId, account.email])
      await this.#context.audit.record(tx, { action: 'account-deleted', accountId, byId: accountId, client })
      const deleted = emission(authEvents.userDeleted, { userId: accountId, deletedAt: now.toISOString() })
      await emit(tx, accountId, [sessionRevoked(accountId, null), deleted], traceParent)
      await tx.query(deleteAccount, [accountId, now])
    })
    this.#context.bus.nudge()
    await this.#context.revocations.read()
  }
}
