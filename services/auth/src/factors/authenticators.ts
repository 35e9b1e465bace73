import { otpauthUri, totpCode, totpStepAt, writeBase32, type TotpProposal } from '@saas/contracts'
import { sql, type Transaction } from '@saas/state'
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Account } from '../account.ts'
import type { DerivedKeys } from '../derived-keys.ts'
import { seal, unseal } from '../sealing.ts'

/** As long as the hash, as RFC 4226 recommends. */
const SECRET_BYTES = 20
/** A phone's clock may be half a minute off, and typing takes a while. */
const STEPS_AROUND = 1
const PROPOSAL_LIFETIME_MS = 10 * 60_000

const upsertProposal = sql(
  'auth.upsert_totp_proposal',
  `insert into totp_proposal (account_id, sealed_secret, expires_at)
   values ($1, $2, $3)
   on conflict (account_id) do update
   set sealed_secret = excluded.sealed_secret, expires_at = excluded.expires_at`,
)

const lockProposal = sql<{ sealedSecret: Uint8Array }>(
  'auth.lock_totp_proposal',
  `select sealed_secret as "sealedSecret"
   from totp_proposal
   where account_id = $1 and expires_at > $2
   for update`,
)

const deleteProposal = sql('auth.delete_totp_proposal', 'delete from totp_proposal where account_id = $1')

const upsertTotp = sql<{ isNew: boolean }>(
  'auth.upsert_totp',
  `insert into totp (account_id, sealed_secret, last_step, created_at)
   values ($1, $2, $3, $4)
   on conflict (account_id) do update
   set sealed_secret = excluded.sealed_secret, last_step = excluded.last_step, created_at = excluded.created_at
   returning old.account_id is null as "isNew"`,
)

const lockTotp = sql<{ sealedSecret: Uint8Array; lastStep: number }>(
  'auth.lock_totp',
  `select sealed_secret as "sealedSecret", last_step as "lastStep"
   from totp
   where account_id = $1
   for update`,
)

const takeStep = sql('auth.take_totp_step', 'update totp set last_step = $2 where account_id = $1')

const deleteTotp = sql<{ id: string }>(
  'auth.delete_totp',
  'delete from totp where account_id = $1 returning account_id as id',
)

/** Authenticator apps (RFC 6238). Their secrets are sealed at rest, and a code counts once. */
export class Authenticators {
  readonly #keys: DerivedKeys
  readonly #issuer: string

  constructor(options: { readonly keys: DerivedKeys; readonly publicUrl: string }) {
    this.#keys = options.keys
    this.#issuer = new URL(options.publicUrl).hostname
  }

  /** A new secret, which counts for nothing until one of its codes came back. It replaces the last proposal. */
  async propose(tx: Transaction, account: Account, now: Date): Promise<TotpProposal> {
    const bytes = randomBytes(SECRET_BYTES)
    const expiresAt = new Date(now.getTime() + PROPOSAL_LIFETIME_MS)
    await tx.query(upsertProposal, [account.id, seal(this.#keys.factor, account.id, bytes), expiresAt])
    const secret = writeBase32(bytes)
    const uri = otpauthUri(secret, this.#issuer, account.email)
    return { secret, uri, expiresIn: PROPOSAL_LIFETIME_MS / 1_000 }
  }

  /** Turns the proposed secret on. Answers what became of it. */
  async confirm(
    tx: Transaction,
    accountId: string,
    code: string,
    now: Date,
  ): Promise<'added' | 'renewed' | 'wrong-code' | 'no-proposal'> {
    const [proposal] = await tx.query(lockProposal, [accountId, now])
    if (proposal === undefined) return 'no-proposal'
    const step = await this.#stepOf(accountId, proposal.sealedSecret, code, now)
    if (step === undefined) return 'wrong-code'
    await tx.query(deleteProposal, [accountId])
    const [written] = await tx.query(upsertTotp, [accountId, proposal.sealedSecret, step, now])
    return written?.isNew === true ? 'added' : 'renewed'
  }

  /** Whether the code is right and newer than the last that was. Of two at once the row's lock lets one through. */
  async isRightCode(tx: Transaction, accountId: string, code: string, now: Date): Promise<boolean> {
    const [totp] = await tx.query(lockTotp, [accountId])
    if (totp === undefined) return false
    const step = await this.#stepOf(accountId, totp.sealedSecret, code, now)
    if (step === undefined || step <= totp.lastStep) return false
    await tx.query(takeStep, [accountId, step])
    return true
  }

  /** False when there was none. */
  async remove(tx: Transaction, accountId: string): Promise<boolean> {
    await tx.query(deleteProposal, [accountId])
    return (await tx.query(deleteTotp, [accountId])).length > 0
  }

  /** The newest step of the window that has this code. */
  async #stepOf(accountId: string, sealed: Uint8Array, code: string, now: Date): Promise<number | undefined> {
    const secret = writeBase32(unseal(this.#keys.factor, accountId, sealed))
    let found: number | undefined
    for (let step = totpStepAt(now) - STEPS_AROUND; step <= totpStepAt(now) + STEPS_AROUND; step += 1) {
      if (timingSafeEqual(Buffer.from(await totpCode(secret, step)), Buffer.from(code))) found = step
    }
    return found
  }
}
