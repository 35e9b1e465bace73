import { accountColumns, emailKeyOf, type Account } from './account.ts'
import { takingAttempt, type Attempt, type Throttle } from './throttle.ts'

/** Somebody who may be signing in. */
export interface Candidate {
  readonly account: Account
  /** The one hash that the password is compared with. */
  readonly passwordHash: string
  readonly registrationId?: string
  /** The version of the last event about the account: whatever changes the account raises it. */
  readonly eventVersion: number
}

interface CandidateRow extends Account {
  readonly eventVersion: number
  readonly registrationId: string | null
  readonly pendingHash: string | null
}

// Of an unproven address, what its newest registration is to be signed in with.
const takeSignIn = takingAttempt<CandidateRow>(
  'auth.take_sign_in_attempt',
  `select ${accountColumns}, account.event_version as "eventVersion", newest.id as "registrationId",
       newest.password_hash as "pendingHash"
     from account
     left join lateral (
       select id, password_hash
       from registration
       where account_id = account.id and account.verified_at is null
       order by created_at desc, id desc
       limit 1
     ) as newest on true
     where email_key = $18`,
)

/**
 * Counts an attempt to sign in by password and says whom it is tried for. An unproven account has no password of its own; its newest
 * registration tells whoever made it that the address is still to be proven.
 *
 * @throws {ProblemError} `too-many-requests`
 */
export async function takeSignInAttempt(
  throttle: Throttle,
  email: string,
  network: string,
): Promise<{ readonly attempt: Attempt; readonly candidate: Candidate | undefined }> {
  const emailKey = emailKeyOf(email)
  const tried = { account: emailKey, address: network }
  const { attempt, row } = await throttle.takeReading('sign-in', tried, takeSignIn, [emailKey])
  if (row.id === null) return { attempt, candidate: undefined }
  const { allowed: _, waitSeconds: __, registrationId, pendingHash, eventVersion, ...account } = row
  const passwordHash = pendingHash ?? account.passwordHash
  const candidate = { account, passwordHash, eventVersion, ...(registrationId === null ? {} : { registrationId }) }
  return { attempt, candidate }
}
