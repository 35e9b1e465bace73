import { authEvents, MAILED_CODE_DIGITS_MAX, pages, type Language, type MailSecret } from '@saas/contracts'
import { sql, type Database, type Transaction } from '@saas/state'
import type { Clock } from '@saas/config'
import { CompactEncrypt } from 'jose'
import { randomBytes, randomInt } from 'node:crypto'
import { emission, recipientOf, type Emission } from './account-events.ts'
import { emailKeyOf, type Account } from './account.ts'
import type { AddressProof } from './address-proof.ts'
import { hmac, sha256, type DerivedKeys } from './derived-keys.ts'
import type { Throttle } from './throttle.ts'

const TOKEN_BYTES = 32
const CODE_TRIES = 5
const CODE_DIGITS = 6
/** While somebody guesses: a year of that finds no code. */
const PRESSED_CODE_DIGITS = MAILED_CODE_DIGITS_MAX
const CODE_LIFETIME_MS = 10 * 60_000
const VERIFY_LIFETIME_MS = 24 * 3_600_000
const RESET_LIFETIME_MS = 60 * 60_000

type TokenPurpose = 'verify' | 'reset'
type CodePurpose = 'verify' | 'sign-in'

const insertToken = sql(
  'auth.insert_mailed_token',
  `with voided as (
     delete from mailed_token
     where account_id = $2 and purpose = $3 and registration_id is not distinct from $5
   )
   insert into mailed_token (token_hash, account_id, purpose, expires_at, registration_id)
   values ($1, $2, $3, $4, $5)`,
)

const upsertCode = sql(
  'auth.upsert_mailed_code',
  `insert into mailed_code (address_hash, purpose, code_hash, tries_left, expires_at, registration_id)
   values ($1, $2, $3, ${CODE_TRIES}, $4, $5)
   on conflict (address_hash, purpose) do update
   set code_hash = excluded.code_hash,
     tries_left = excluded.tries_left,
     expires_at = excluded.expires_at,
     registration_id = excluded.registration_id`,
)

const useToken = sql<{ token_hash: Uint8Array }>(
  'auth.use_mailed_token',
  `update mailed_token
   set used_at = $3
   where token_hash = $1 and purpose = $2 and used_at is null and expires_at > $3
   returning token_hash`,
)

const peekToken = sql<AddressProof>(
  'auth.peek_mailed_token',
  `select account_id as "accountId", registration_id as "registrationId"
   from mailed_token
   where token_hash = $1 and purpose = $2 and used_at is null and expires_at > $3`,
)

// Always writes one row: an address without a code gets one that was never good, so that a try takes as long there. `old` is the code
// as it stood when the row was locked, so of two tries at once each counts, and of two right ones one wins.
const tryCode = sql<{ isRight: boolean; registrationId: string | null }>(
  'auth.try_mailed_code',
  `insert into mailed_code as c (address_hash, purpose, code_hash, tries_left, expires_at)
   values ($1, $2, '', 0, $4)
   on conflict (address_hash, purpose) do update
   set tries_left = case when c.code_hash = $3 then 0 else greatest(0, c.tries_left - 1) end
   returning coalesce(old.tries_left > 0 and old.expires_at > $4 and old.code_hash = $3, false) as "isRight",
     old.registration_id as "registrationId"`,
)

// The newest voids the one before: one change is under way at a time.
const upsertEmailChange = sql(
  'auth.upsert_email_change',
  `insert into email_change (account_id, email, token_hash, code_hash, tries_left, expires_at, code_expires_at)
   values ($1, $2, $3, $4, ${CODE_TRIES}, $5, $6)
   on conflict (account_id) do update
   set email = excluded.email,
     token_hash = excluded.token_hash,
     code_hash = excluded.code_hash,
     tries_left = excluded.tries_left,
     expires_at = excluded.expires_at,
     code_expires_at = excluded.code_expires_at`,
)

const deleteCodes = sql('auth.delete_mailed_codes', 'delete from mailed_code where address_hash = $1')

/** Voids every link of an account that is under way, and a change of its address with its code. */
export const voidLinks = sql(
  'auth.void_links',
  `with changes as (
     delete from email_change where account_id = $1
   )
   delete from mailed_token where account_id = $1`,
)

const deleteVerifications = sql(
  'auth.delete_verifications',
  `with voided as (
     delete from mailed_token where account_id = $1 and purpose = 'verify' and used_at is null
   ),
   forgotten as (
     delete from registration where account_id = $1
   )
   delete from mailed_code where address_hash = $2 and purpose = 'verify'`,
)

/** A registration as its mail is made of. */
export interface RegistrationMail {
  readonly id: string
  readonly name: string
  readonly language: Language
}

interface MailedSecretsContext {
  readonly database: Database
  readonly clock: Clock
  readonly keys: DerivedKeys
  readonly mailSecretKey: Uint8Array
  readonly publicUrl: string
  readonly throttle: Throttle
}

/**
 * What proves that somebody reads an address: links with 256-bit tokens, and codes of six digits, or of nine
 * while somebody guesses at the address. At rest there are only hashes; the
 * mail's event carries them encrypted, for the notifications service alone. A new one voids the old.
 */
export class MailedSecrets {
  readonly #context: MailedSecretsContext
  readonly #publicUrl: string

  constructor(context: MailedSecretsContext) {
    this.#context = context
    this.#publicUrl = context.publicUrl.replace(/\/+$/, '')
  }

  /**
   * The mail by which an address is proven: a link for a day, a code for ten minutes. Those of a registration are for it
   * alone, and go on when others register the same address; without one they prove the address and nothing else.
   */
  async requestVerification(tx: Transaction, account: Account, registration?: RegistrationMail): Promise<Emission> {
    const expiresAt = this.#after(VERIFY_LIFETIME_MS)
    const token = await this.#newToken(tx, account.id, 'verify', expiresAt, registration?.id)
    const code = await this.#newCode(tx, account.email, 'verify', registration?.id)
    const secret = await this.#seal({ code, link: this.#link(pages.verify, token) })
    return emission(authEvents.verificationRequested, {
      ...recipientOf(account),
      ...(registration === undefined ? {} : { name: registration.name, language: registration.language }),
      secret,
      expiresAt: expiresAt.toISOString(),
    })
  }

  async requestSignInCode(tx: Transaction, account: Account): Promise<Emission> {
    const code = await this.#newCode(tx, account.email, 'sign-in')
    const expiresAt = this.#after(CODE_LIFETIME_MS).toISOString()
    const secret = await this.#seal({ code })
    return emission(authEvents.loginCodeRequested, { ...recipientOf(account), secret, expiresAt })
  }

  async requestReset(tx: Transaction, account: Account): Promise<Emission> {
    const expiresAt = this.#after(RESET_LIFETIME_MS)
    const token = await this.#newToken(tx, account.id, 'reset', expiresAt)
    const secret = await this.#seal({ link: this.#link(pages.reset, token) })
    return emission(authEvents.passwordResetRequested, {
      ...recipientOf(account),
      secret,
      expiresAt: expiresAt.toISOString(),
    })
  }

  /** The mail by which an account's new address is proven. It goes there, and opens nothing for whoever is not signed in. */
  async requestEmailChange(tx: Transaction, account: Account, email: string): Promise<Emission> {
    const expiresAt = this.#after(VERIFY_LIFETIME_MS)
    const token = newToken()
    const code = await this.#drawCode(tx, account.id)
    const hashes = [sha256(token), this.emailChangeCodeHash(account.id, code)]
    await tx.query(upsertEmailChange, [account.id, email, ...hashes, expiresAt, this.#after(CODE_LIFETIME_MS)])
    const secret = await this.#seal({ code, link: this.#link(pages.email, token) })
    return emission(authEvents.emailChangeRequested, {
      ...recipientOf(account),
      email,
      secret,
      expiresAt: expiresAt.toISOString(),
    })
  }

  emailChangeCodeHash(accountId: string, code: string): Buffer {
    return hmac(this.#context.keys.mailedCode, accountId, 'email-change', code)
  }

  /** A token that takes an email change back, and the link with it as the old address is sent it. */
  async newUndo(): Promise<{ readonly token: string; readonly secret: string }> {
    const token = newToken()
    return { token, secret: await this.#seal({ link: this.#link(pages.emailUndo, token) }) }
  }

  /** Voids every code that was mailed to an address. */
  async voidCodes(tx: Transaction, email: string): Promise<void> {
    await tx.query(deleteCodes, [this.#addressHash(email)])
  }

  /** Uses the token up. Of two at once one gets true. */
  async useToken(tx: Transaction, token: string, purpose: TokenPurpose): Promise<boolean> {
    const used = await tx.query(useToken, [sha256(token), purpose, this.#context.clock.now()])
    return used.length === 1
  }

  /** Whose token it is, without using it up. */
  async peekToken(token: string, purpose: TokenPurpose): Promise<AddressProof | undefined> {
    const [found] = await this.#context.database.read(peekToken, [sha256(token), purpose, this.#context.clock.now()])
    return found
  }

  /** Whether the code is right; a wrong one costs one of five tries, the right one is used up. */
  async isRightCode(email: string, purpose: CodePurpose, code: string): Promise<boolean> {
    return (await this.tryCode(email, purpose, code)) !== undefined
  }

  /**
   * The same, saying which registration a right code was mailed for. With a registration only its own code is right;
   * without one that of the newest mail to the address.
   */
  async tryCode(
    email: string,
    purpose: CodePurpose,
    code: string,
    registrationId?: string,
  ): Promise<Pick<AddressProof, 'registrationId'> | undefined> {
    const hashes = [this.#addressHash(email, registrationId), purpose, this.#codeHash(email, purpose, code)]
    const [verdict] = await this.#context.database.write(tryCode, [...hashes, this.#context.clock.now()])
    return verdict?.isRight === true ? { registrationId: verdict.registrationId } : undefined
  }

  /** Once an address is proven, nothing that was mailed to prove it is any good, and no other registration of it. */
  async voidVerifications(tx: Transaction, account: Account): Promise<void> {
    await tx.query(deleteVerifications, [account.id, this.#addressHash(account.email)])
  }

  /** Once a password is set, nothing that was mailed before opens the account: who read it then may be the reason for the new one. */
  async voidAll(tx: Transaction, account: Account): Promise<void> {
    await this.voidVerifications(tx, account)
    await this.voidCodes(tx, account.email)
    await tx.query(voidLinks, [account.id])
  }

  async #newToken(
    tx: Transaction,
    accountId: string,
    purpose: TokenPurpose,
    expiresAt: Date,
    registrationId?: string,
  ): Promise<string> {
    const token = newToken()
    await tx.query(insertToken, [sha256(token), accountId, purpose, expiresAt, registrationId ?? null])
    return token
  }

  /** One of a registration can be tried by whoever names it, whatever strangers tried without a name, and the other way round. */
  async #newCode(tx: Transaction, email: string, purpose: CodePurpose, registrationId?: string): Promise<string> {
    const code = await this.#drawCode(tx, emailKeyOf(email))
    for (const named of registrationId === undefined ? [undefined] : [undefined, registrationId]) {
      const hashes = [this.#addressHash(email, named), purpose, this.#codeHash(email, purpose, code)]
      await tx.query(upsertCode, [...hashes, this.#after(CODE_LIFETIME_MS), registrationId ?? null])
    }
    return code
  }

  /** `provenBy` is what attempts at the code are counted by. Who asked for it does not learn how long it is; its reader does. */
  async #drawCode(tx: Transaction, provenBy: string): Promise<string> {
    const isPressed = await this.#context.throttle.isPressed(tx, 'prove', provenBy)
    return randomDigits(isPressed ? PRESSED_CODE_DIGITS : CODE_DIGITS)
  }

  /** A fragment is not sent to servers, so tokens stand in no log, and only a script's POST uses them up. */
  #link(page: string, token: string): string {
    return `${this.#publicUrl}${page}#token=${token}`
  }

  async #seal(secret: MailSecret): Promise<string> {
    return await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(secret)))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .encrypt(this.#context.mailSecretKey)
  }

  #addressHash(email: string, registrationId?: string): Buffer {
    // Of the two cases in which a UUID may be written, the one in which the database writes it.
    const named = registrationId === undefined ? [] : [registrationId.toLowerCase()]
    return hmac(this.#context.keys.lookup, 'mailed code', emailKeyOf(email), ...named)
  }

  #codeHash(email: string, purpose: CodePurpose, code: string): Buffer {
    return hmac(this.#context.keys.mailedCode, emailKeyOf(email), purpose, code)
  }

  #after(milliseconds: number): Date {
    return new Date(this.#context.clock.now().getTime() + milliseconds)
  }
}

function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url')
}

function randomDigits(count: number): string {
  return String(randomInt(10 ** count)).padStart(count, '0')
}
