import { authEvents, type Language } from '@saas/contracts'
import { sql, type Bus, type Database, type Transaction } from '@saas/state'
import { newId, type Clock } from '@saas/config'
import { Repeating, type Logger } from '@saas/http'
import { emission, emit, recipientOf, userChanged, type Emission } from './account-events.ts'
import { accountColumns, emailKeyOf, nameOf, type Account } from './account.ts'
import { NO_PASSWORD } from './hashing.ts'
import type { MailedSecrets, RegistrationMail } from './mailed-secrets.ts'

const POLL_MS = 1_000
const RETRY_MS = 5_000
const ATTEMPTS_MAX = 20
/** Of one address at a time; the oldest go. */
const REGISTRATIONS_MAX = 20

type RequestKind = 'register' | 'verify' | 'sign-in-code' | 'reset' | 'email-change'

/** What somebody registers with, the password hashed already. */
export interface Registration {
  readonly id: string
  readonly name: string
  readonly passwordHash: string
  readonly language: Language
  readonly zone: string | null
}

interface AccountRequest {
  readonly id: string
  readonly kind: RequestKind
  readonly email: string
  readonly data: Registration | { readonly registrationId?: string } | { readonly accountId: string }
  readonly traceParent: string
}

const insertRequest = sql(
  'auth.insert_account_request',
  `insert into account_request (id, kind, email, data, trace_parent, due_at)
   values ($1, $2, $3, $4, $5, $6)`,
)

const claimRequest = sql<AccountRequest>(
  'auth.claim_account_request',
  `delete from account_request
   where id = (
     select id
     from account_request
     where due_at <= $1
     order by due_at, id
     limit 1
     for update skip locked
   )
   returning id, kind, email, data, trace_parent as "traceParent"`,
)

const postponeRequest = sql<{ attempts: number }>(
  'auth.postpone_account_request',
  `update account_request
   set attempts = attempts + 1, due_at = $2
   where id = $1
   returning attempts`,
)

const dropRequest = sql('auth.drop_account_request', 'delete from account_request where id = $1')

// An address that nobody has proven gets an account without a password. The clause after the conflict changes nothing: it locks the row.
const upsertAccount = sql<Account & { isNew: boolean }>(
  'auth.upsert_account',
  `insert into account (id, email, email_key, name, language, roles, password_hash, created_at, updated_at)
   values ($1, $2, $3, $4, $5, '{customer}', $6, $7, $7)
   on conflict (email_key) do update
   set updated_at = account.updated_at
   where account.verified_at is null and account.disabled_at is null
   returning ${accountColumns}, old.id is null as "isNew"`,
)

const insertRegistration = sql<{ id: string }>(
  'auth.insert_registration',
  `insert into registration (id, account_id, name, language, zone, password_hash, created_at)
   values ($1, $2, $3, $4, $5, $6, $7)
   on conflict (id) do nothing
   returning id`,
)

const deleteSurplus = sql(
  'auth.delete_surplus_registrations',
  `delete from registration
   where id in (
     select id
     from registration
     where account_id = $1
     order by created_at desc, id desc
     offset ${REGISTRATIONS_MAX}
   )`,
)

const selectRegistration = sql<RegistrationMail>(
  'auth.registration',
  'select id, name, language from registration where id = $1 and account_id = $2',
)

const lockByEmail = sql<Account>(
  'auth.lock_account_by_email',
  `select ${accountColumns} from account where email_key = $1 for no key update`,
)

const lockById = sql<Account>(
  'auth.lock_account_by_id',
  `select ${accountColumns} from account where id = $1 for no key update`,
)

const selectByEmail = sql<Account>(
  'auth.account_of_address',
  `select ${accountColumns} from account where email_key = $1`,
)

interface AccountRequestsContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly logger: Logger
  readonly secrets: MailedSecrets
}

/**
 * What anybody may ask for about any address. Asking only writes the request down, which is the same work and the same answer
 * whether the address is known or not; a moment later this looks at the account and sends what there is to send.
 */
export class AccountRequests implements AsyncDisposable {
  readonly #context: AccountRequestsContext
  readonly #work: Repeating

  constructor(context: AccountRequestsContext) {
    this.#context = context
    const { clock, logger } = context
    this.#work = new Repeating({
      name: 'account requests',
      everyMs: POLL_MS,
      clock,
      logger,
      run: (signal) => this.#applyDue(signal),
    })
  }

  /** Starts applying requests, those too that a dead replica left. */
  start(): void {
    this.#work.start()
  }

  async register(email: string, registration: Registration, traceParent: string): Promise<void> {
    await this.#write('register', email, registration, traceParent)
  }

  /** With a registration, the mail to prove the address is for that one alone. */
  async request(
    kind: Exclude<RequestKind, 'register' | 'email-change'>,
    email: string,
    traceParent: string,
    registrationId?: string,
  ): Promise<void> {
    await this.#write(kind, email, registrationId === undefined ? {} : { registrationId }, traceParent)
  }

  /** The account's owner has shown who they are; whether the address is free is looked at later, like anybody's. */
  async requestEmailChange(email: string, accountId: string, traceParent: string): Promise<void> {
    await this.#write('email-change', email, { accountId }, traceParent)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work[Symbol.asyncDispose]()
  }

  async #write(kind: RequestKind, email: string, data: AccountRequest['data'], traceParent: string): Promise<void> {
    const now = this.#context.clock.now()
    await this.#context.database.write(insertRequest, [newId(), kind, email, JSON.stringify(data), traceParent, now])
    this.#work.nudge()
  }

  /** What is left when the service stops waits for the next replica. */
  async #applyDue(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (await this.#applyNext())) this.#context.bus.nudge()
  }

  async #applyNext(): Promise<boolean> {
    let claimed: AccountRequest | undefined
    try {
      return await this.#context.database.transaction(async (tx) => {
        const [request] = await tx.query(claimRequest, [this.#context.clock.now()])
        claimed = request
        if (request !== undefined) await this.#apply(tx, request)
        return request !== undefined
      })
    } catch (error) {
      if (claimed !== undefined) await this.#postpone(claimed.id)
      throw error
    }
  }

  /** One that fails lets the others pass, and is given up when it has failed for long. */
  async #postpone(id: string): Promise<void> {
    const dueAt = new Date(this.#context.clock.now().getTime() + RETRY_MS)
    const [postponed] = await this.#context.database.write(postponeRequest, [id, dueAt])
    if ((postponed?.attempts ?? 0) < ATTEMPTS_MAX) return
    await this.#context.database.write(dropRequest, [id])
    this.#context.logger.error({ requestId: id }, 'An account request was given up')
  }

  async #apply(tx: Transaction, request: AccountRequest): Promise<void> {
    const { account, emissions } = await this.#outcomeOf(tx, request)
    if (account !== undefined) await emit(tx, account.id, emissions, request.traceParent)
  }

  async #outcomeOf(tx: Transaction, request: AccountRequest): Promise<Outcome> {
    if (request.kind === 'register') return await this.#registered(tx, request)
    return request.kind === 'email-change' ? await this.#moved(tx, request) : await this.#answered(tx, request)
  }

  /** Nobody but the address's owner hears that it is taken. */
  async #moved(tx: Transaction, { email, data }: AccountRequest): Promise<Outcome> {
    const { accountId } = data as { readonly accountId: string }
    const [owner] = await tx.query(selectByEmail, [emailKeyOf(email)])
    if (owner !== undefined && owner.id !== accountId && (owner.verifiedAt !== null || owner.disabledAt !== null)) {
      if (owner.disabledAt !== null) return nobody
      return { account: owner, emissions: [emission(authEvents.registrationRepeated, recipientOf(owner))] }
    }
    const [account] = await tx.query(lockById, [accountId])
    if (account === undefined || account.disabledAt !== null) return nobody
    return { account, emissions: [await this.#context.secrets.requestEmailChange(tx, account, email)] }
  }

  async #registered(tx: Transaction, { email, data }: AccountRequest): Promise<Outcome> {
    const { id, name, language, zone, passwordHash } = data as Registration
    const now = this.#context.clock.now()
    // The name and the zone are the registration's, and come with its proof: anybody may have made it.
    const values = [newId(), email, emailKeyOf(email), nameOf(email), language, NO_PASSWORD, now]
    const [account] = await tx.query(upsertAccount, values)
    if (account !== undefined) {
      const kept = await tx.query(insertRegistration, [id, account.id, name, language, zone, passwordHash, now])
      // The id was used before: the answer was lost and the client asked again, or it is somebody else's.
      if (kept.length === 0) return { account, emissions: account.isNew ? [userChanged(account)] : [] }
      await tx.query(deleteSurplus, [account.id])
      const mail = await this.#context.secrets.requestVerification(tx, account, { id, name, language })
      return { account, emissions: account.isNew ? [userChanged(account), mail] : [mail] }
    }
    const [owner] = await tx.query(lockByEmail, [emailKeyOf(email)])
    if (owner === undefined || owner.disabledAt !== null) return nobody
    return { account: owner, emissions: [emission(authEvents.registrationRepeated, recipientOf(owner))] }
  }

  async #answered(tx: Transaction, { email, kind, data }: AccountRequest): Promise<Outcome> {
    const [account] = await tx.query(lockByEmail, [emailKeyOf(email)])
    if (account === undefined || account.disabledAt !== null) return nobody
    if (kind === 'reset') return { account, emissions: [await this.#context.secrets.requestReset(tx, account)] }
    if (kind === 'sign-in-code')
      return { account, emissions: [await this.#context.secrets.requestSignInCode(tx, account)] }
    if (account.verifiedAt !== null) return nobody
    const { registrationId } = data as { readonly registrationId?: string }
    const [registration] = await tx.query(selectRegistration, [registrationId ?? null, account.id])
    return { account, emissions: [await this.#context.secrets.requestVerification(tx, account, registration)] }
  }
}

interface Outcome {
  readonly account: Account | undefined
  readonly emissions: readonly Emission[]
}

const nobody: Outcome = { account: undefined, emissions: [] }
