import { randomBytes } from 'node:crypto'
import type { Clock } from '@saas/config'
import { ProblemError, problems } from '@saas/contracts'
import type { Logger } from '@saas/http'
import { sql, type Database, type Transaction } from '@saas/state'
import { deriveKeys, sha256, type DerivedKeys } from './derived-keys.ts'
import { seal, unseal } from './sealing.ts'

const KEY_BYTES = 32
const ID_LETTERS = 16
const BELONGS_TO = 'data key'

interface SealedKey {
  readonly sealed: Uint8Array
  readonly sealedBy: string
  readonly formerly: readonly string[]
}

interface KeyEncryptionKey {
  readonly id: string
  readonly key: Uint8Array
}

const selectDataKey = sql<SealedKey>('auth.data_key', 'select sealed, sealed_by as "sealedBy", formerly from data_key')

const lockDataKey = sql('auth.lock_data_key', `select pg_advisory_xact_lock(hashtextextended('auth.data_key', 0))`)

// Before there was a data key, all was derived from the key-encryption key itself.
const selectIsInUse = sql<{ isInUse: boolean }>('auth.has_accounts', 'select exists (select from account) as "isInUse"')

const insertDataKey = sql(
  'auth.insert_data_key',
  'insert into data_key (sealed, sealed_by, sealed_at) values ($1, $2, $3)',
)

const resealDataKey = sql(
  'auth.reseal_data_key',
  `update data_key
   set sealed = $1, sealed_by = $2, formerly = array_append(formerly, sealed_by), sealed_at = $3
   where sealed_by = $4`,
)

interface DataKeyContext {
  readonly database: Database
  readonly clock: Clock
  readonly logger: Logger
  readonly keyEncryptionKey: Uint8Array
  /** The one that is about to be used, or was; the same as the other outside a replacement. */
  readonly keyEncryptionKeyAccepted: Uint8Array | undefined
}

/**
 * The key that all others of auth are derived from: random, one row, sealed with KEY_ENCRYPTION_KEY. When the row is sealed with
 * KEY_ENCRYPTION_KEY_ACCEPTED instead, it is sealed anew as it is opened, so that one start of auth replaces the configured key and
 * nothing that was made under it is lost.
 *
 * Until it has been opened, each key that is asked for throws `dependency-unavailable`.
 */
export class DataKey implements DerivedKeys {
  readonly #context: DataKeyContext
  readonly #current: KeyEncryptionKey
  readonly #accepted: KeyEncryptionKey | undefined
  #derived: DerivedKeys | undefined
  #opening: Promise<DerivedKeys> | undefined

  constructor(context: DataKeyContext) {
    this.#context = context
    this.#current = identified(context.keyEncryptionKey)
    const accepted = context.keyEncryptionKeyAccepted
    this.#accepted = accepted === undefined ? undefined : identified(accepted)
  }

  /**
   * Opens the key, and makes it when there is none. Calls at once share one run.
   *
   * @throws {Error} when it is sealed with a key that is not configured.
   */
  async open(): Promise<DerivedKeys> {
    if (this.#derived !== undefined) return this.#derived
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    return await this.#opening
  }

  get mailedCode(): Uint8Array {
    return this.#opened.mailedCode
  }

  get refreshChild(): Uint8Array {
    return this.#opened.refreshChild
  }

  get refreshMark(): Uint8Array {
    return this.#opened.refreshMark
  }

  get lookup(): Uint8Array {
    return this.#opened.lookup
  }

  get factor(): Uint8Array {
    return this.#opened.factor
  }

  get recoveryCode(): Uint8Array {
    return this.#opened.recoveryCode
  }

  get signingKey(): Uint8Array {
    return this.#opened.signingKey
  }

  get #opened(): DerivedKeys {
    if (this.#derived === undefined) throw new ProblemError(problems.dependencyUnavailable)
    return this.#derived
  }

  async #open(): Promise<DerivedKeys> {
    const [present] = await this.#context.database.read(selectDataKey)
    const opened = present === undefined || this.#isToSealAnew(present) ? await this.#locked() : this.#unseal(present)
    this.#derived = deriveKeys(opened)
    return this.#derived
  }

  /** Makes or seals anew, one replica at a time. */
  async #locked(): Promise<Uint8Array> {
    return await this.#context.database.transaction(async (tx) => {
      await tx.query(lockDataKey)
      const [present] = await tx.query(selectDataKey)
      if (present === undefined) return await this.#make(tx)
      const opened = this.#unseal(present)
      if (this.#isToSealAnew(present)) {
        const sealed = seal(this.#current.key, BELONGS_TO, opened)
        await tx.query(resealDataKey, [sealed, this.#current.id, this.#context.clock.now(), present.sealedBy])
        this.#context.logger.info(
          { from: present.sealedBy, to: this.#current.id },
          'The data key was sealed anew, with KEY_ENCRYPTION_KEY',
        )
      }
      return opened
    })
  }

  async #make(tx: Transaction): Promise<Uint8Array> {
    const [found] = await tx.query(selectIsInUse)
    const made = found?.isInUse === true ? this.#current.key : new Uint8Array(randomBytes(KEY_BYTES))
    await tx.query(insertDataKey, [
      seal(this.#current.key, BELONGS_TO, made),
      this.#current.id,
      this.#context.clock.now(),
    ])
    return made
  }

  #isToSealAnew({ sealedBy, formerly }: SealedKey): boolean {
    return sealedBy !== this.#current.id && !formerly.includes(this.#current.id)
  }

  #unseal({ sealed, sealedBy }: SealedKey): Uint8Array {
    const sealer = [this.#current, this.#accepted].find((candidate) => candidate?.id === sealedBy)
    if (sealer === undefined)
      throw new Error(
        `The data key is sealed with the key-encryption key ${sealedBy}; KEY_ENCRYPTION_KEY is ${this.#current.id}, and KEY_ENCRYPTION_KEY_ACCEPTED ${this.#accepted?.id ?? 'is not set'}`,
      )
    return unseal(sealer.key, BELONGS_TO, sealed)
  }
}

/** The id says nothing about the key: there are as many keys as nobody can try. */
function identified(key: Uint8Array): KeyEncryptionKey {
  return {
    id: sha256(Buffer.concat([Buffer.from('key-encryption key '), key]))
      .toString('hex')
      .slice(0, ID_LETTERS),
    key,
  }
}
