import { ProblemError, problems } from '@saas/contracts'
import { sql, sqlState, type Transaction } from '@saas/state'
import { emission, emit } from './account-events.ts'
import { authEvents } from '@saas/contracts'
import { accountColumns, emailKeyOf, type Account } from './account.ts'
import { voidLinks } from './mailed-secrets.ts'
import { endAndRevokeSessions, revokeOlderTokens } from './session-end.ts'

const UNIQUE_VIOLATION = '23505'

const lockUnprovenHolder = sql<{ id: string }>(
  'auth.lock_unproven_holder',
  `select id
   from account
   where email_key = $1 and id <> $2 and verified_at is null and disabled_at is null
   for update`,
)

const deleteHolder = sql('auth.delete_unproven_holder', 'delete from account where id = $1')

const updateEmail = sql<Account>(
  'auth.update_email',
  `update account
   set email = $2,
     email_key = $3,
     password_hash = coalesce($4, password_hash),
     security_version = security_version + 1,
     updated_at = $5
   where id = $1
     and disabled_at is null
     and not exists (select from account as other where other.email_key = $3 and other.id <> $1)
   returning ${accountColumns}`,
)

/**
 * Gives an account another address that was proven, ends its sessions but `kept`, and voids what was mailed to the old one.
 * Somebody who only claims the address, without ever having proven it, gives way.
 *
 * @throws {ProblemError} `address-taken` when the address belongs to another account; `wrong-token` when this one is shut.
 */
export async function giveAddress(
  tx: Transaction,
  account: Account,
  given: { readonly email: string; readonly passwordHash?: string; readonly kept?: string },
  now: Date,
  traceParent: string,
): Promise<Account> {
  const emailKey = emailKeyOf(given.email)
  await forgetUnprovenHolder(tx, emailKey, account.id, now, traceParent)
  const values = [account.id, given.email, emailKey, given.passwordHash ?? null, now]
  let changed: Account | undefined
  try {
    ;[changed] = await tx.query(updateEmail, values)
  } catch (error) {
    throw sqlState(error) === UNIQUE_VIOLATION ? new ProblemError(problems.addressTaken, { cause: error }) : error
  }
  if (changed === undefined) {
    throw new ProblemError(account.disabledAt === null ? problems.addressTaken : problems.wrongToken)
  }
  // Whoever reads the old mailbox must not reset the password of an account that has moved on.
  await tx.query(voidLinks, [account.id])
  await endAndRevokeSessions(tx, account.id, given.kept === undefined ? {} : { but: given.kept }, 'revoked', now)
  await revokeOlderTokens(tx, changed, given.kept, now)
  return changed
}

async function forgetUnprovenHolder(
  tx: Transaction,
  emailKey: string,
  accountId: string,
  now: Date,
  traceParent: string,
): Promise<void> {
  const [holder] = await tx.query(lockUnprovenHolder, [emailKey, accountId])
  if (holder === undefined) return
  const deleted = emission(authEvents.userDeleted, { userId: holder.id, deletedAt: now.toISOString() })
  await emit(tx, holder.id, [deleted], traceParent)
  await tx.query(deleteHolder, [holder.id])
}
