import { sql, type Database } from '@saas/state'
import { emit, newTraceParent, userChanged } from './account-events.ts'
import { accountColumns, type Account } from './account.ts'

const ACCOUNTS_PER_TRANSACTION = 200
const FIRST_ID = '00000000-0000-0000-0000-000000000000'

// Locked, so that what is told is newer than all that was told before, as its number says.
const selectAccounts = sql<Account>(
  'auth.republish_accounts',
  `select ${accountColumns}
   from account
   where id > $1
   order by id
   limit ${ACCOUNTS_PER_TRANSACTION}
   for no key update`,
)

/**
 * Tells the state of every account again, for a service that lost or never had it: the stream keeps three days, the
 * outbox seven. Returns how many that were; the relay of the running service publishes them.
 */
export async function republishUsers(database: Database): Promise<number> {
  const traceParent = newTraceParent()
  let count = 0
  for (let after = FIRST_ID; ;) {
    const accounts = await database.transaction(async (tx) => {
      const chosen = await tx.query(selectAccounts, [after])
      for (const account of chosen) await emit(tx, account.id, [userChanged(account)], traceParent)
      return chosen
    })
    count += accounts.length
    const last = accounts.at(-1)
    if (last === undefined || accounts.length < ACCOUNTS_PER_TRANSACTION) return count
    after = last.id
  }
}
