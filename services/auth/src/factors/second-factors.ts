import { authEvents, type SecondFactorMethod } from '@saas/contracts'
import { sql, type Transaction } from '@saas/state'
import { emission, recipientOf, type Emission } from '../account-events.ts'
import type { Account } from '../account.ts'
import type { Authenticators } from './authenticators.ts'
import type { Passkeys } from './passkeys.ts'
import type { CheckedProof, FactorProof } from './proof.ts'
import type { RecoveryCodes } from './recovery-codes.ts'

/** What an account has beside its password. */
export interface FactorsOn {
  readonly totpCreatedAt: Date | null
  readonly passkeys: number
  readonly recoveryCodesLeft: number
}

export const selectFactors = sql<FactorsOn>(
  'auth.factors',
  `select
     (select created_at from totp where account_id = $1) as "totpCreatedAt",
     (select count(*) from passkey where account_id = $1) as passkeys,
     (select count(*) from recovery_code where account_id = $1 and used_at is null) as "recoveryCodesLeft"`,
)

/** Recovery codes alone are no factor: they stand in for one. */
export function hasFactor({ totpCreatedAt, passkeys }: FactorsOn): boolean {
  return totpCreatedAt !== null || passkeys > 0
}

/** Which factors an account has, and whether somebody has one of them at hand. */
export class SecondFactors {
  readonly #authenticators: Authenticators
  readonly #recoveryCodes: RecoveryCodes
  readonly #passkeys: Passkeys

  constructor(parts: {
    readonly authenticators: Authenticators
    readonly recoveryCodes: RecoveryCodes
    readonly passkeys: Passkeys
  }) {
    this.#authenticators = parts.authenticators
    this.#recoveryCodes = parts.recoveryCodes
    this.#passkeys = parts.passkeys
  }

  async of(tx: Transaction, accountId: string): Promise<FactorsOn> {
    const [factors] = await tx.query(selectFactors, [accountId])
    return factors ?? { totpCreatedAt: null, passkeys: 0, recoveryCodesLeft: 0 }
  }

  /** By what the second factor can be proven; empty when none is on. */
  async methodsOf(tx: Transaction, accountId: string): Promise<SecondFactorMethod[]> {
    const factors = await this.of(tx, accountId)
    if (!hasFactor(factors)) return []
    return [
      ...(factors.totpCreatedAt === null ? [] : ['totp' as const]),
      ...(factors.passkeys === 0 ? [] : ['passkey' as const]),
      ...(factors.recoveryCodesLeft === 0 ? [] : ['recovery-code' as const]),
    ]
  }

  /**
   * Verifies a passkey's signature, and uses its challenge up whatever comes of it, which no transaction takes back. So it comes before the one
   * that locks the account: a statement of its own would wait behind others of everybody's, and one of those for the account.
   */
  async check(
    purpose: 'second-factor' | 'reauthentication',
    accountId: string,
    proof: FactorProof,
  ): Promise<CheckedProof> {
    return 'passkey' in proof ? { passkey: await this.#passkeys.verify(purpose, accountId, proof.passkey) } : proof
  }

  /** Uses the proof up. Answers what is to be told of it, or `undefined` when it is wrong. */
  async prove(
    tx: Transaction,
    account: Account,
    proof: CheckedProof,
    now: Date,
  ): Promise<readonly Emission[] | undefined> {
    if ('passkey' in proof) {
      const { passkey } = proof
      return passkey !== undefined && (await this.#passkeys.use(tx, passkey, now)) ? [] : undefined
    }
    if ('code' in proof) {
      return (await this.#authenticators.isRightCode(tx, account.id, proof.code, now)) ? [] : undefined
    }
    if (!(await this.#recoveryCodes.use(tx, account.id, proof.recoveryCode, now))) return undefined
    return [factorChanged(account, { factor: 'recovery-codes', change: 'used' }, now)]
  }
}

/** The notice that goes to the owner. */
export function factorChanged(account: Account, { factor, change, label }: FactorChange, changedAt: Date): Emission {
  return emission(authEvents.factorChanged, {
    ...recipientOf(account),
    factor,
    change,
    label: label ?? null,
    changedAt: changedAt.toISOString(),
  })
}

export interface FactorChange {
  readonly factor: 'totp' | 'passkey' | 'recovery-codes' | 'identity'
  readonly change: 'added' | 'removed' | 'renewed' | 'used'
  /** What a passkey or a provider is called. */
  readonly label?: string
  readonly passkeyId?: string
}
