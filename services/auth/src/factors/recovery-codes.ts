import { RECOVERY_CODES } from '@saas/contracts'
import { sql, type Transaction } from '@saas/state'
import { randomInt } from 'node:crypto'
import { hmac, type DerivedKeys } from '../derived-keys.ts'

/** 32 characters that are not taken for one another (Crockford), so each is worth five bits. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const CHARACTERS = 10
const GROUP = 5

const replaceCodes = sql(
  'auth.replace_recovery_codes',
  `with dropped as (
     delete from recovery_code where account_id = $1
   )
   insert into recovery_code (account_id, code_hash)
   select $1, code_hash
   from unnest($2::bytea[]) as given (code_hash)`,
)

const useCode = sql<{ id: string }>(
  'auth.use_recovery_code',
  `update recovery_code
   set used_at = $3
   where account_id = $1 and code_hash = $2 and used_at is null
   returning account_id as id`,
)

const deleteCodes = sql('auth.delete_recovery_codes', 'delete from recovery_code where account_id = $1')

/** One-time codes of 50 bits for whoever lost the other factors. At rest there are only keyed hashes. */
export class RecoveryCodes {
  readonly #keys: DerivedKeys

  constructor(keys: DerivedKeys) {
    this.#keys = keys
  }

  /** Makes new ones and voids the old. */
  async renew(tx: Transaction, accountId: string): Promise<string[]> {
    const codes = new Set<string>()
    while (codes.size < RECOVERY_CODES) codes.add(newCode())
    await tx.query(replaceCodes, [accountId, [...codes].map((code) => this.#hashOf(accountId, code))])
    return [...codes].map((code) => `${code.slice(0, GROUP)}-${code.slice(GROUP)}`)
  }

  /** Uses the code up. Of two at once one gets true. */
  async use(tx: Transaction, accountId: string, given: string, now: Date): Promise<boolean> {
    const used = await tx.query(useCode, [accountId, this.#hashOf(accountId, normalized(given)), now])
    return used.length === 1
  }

  async remove(tx: Transaction, accountId: string): Promise<void> {
    await tx.query(deleteCodes, [accountId])
  }

  #hashOf(accountId: string, code: string): Buffer {
    return hmac(this.#keys.recoveryCode, accountId, code)
  }
}

function newCode(): string {
  return Array.from({ length: CHARACTERS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}

/** As people type it: with or without the dash, O for 0, and I or L for 1. */
function normalized(given: string): string {
  return given.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1')
}
