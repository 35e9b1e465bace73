import type { Clock } from '@saas/config'
import type { Logger } from '@saas/http'
import { sql, type Database, type Transaction } from '@saas/state'
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'
import type { DataKey } from './data-key.ts'
import { seal, unseal } from './sealing.ts'

const SIGNS_FOR_MS = 30 * 86_400_000
/** Longer than an access token lives, by more than clocks differ. */
const VERIFIES_AFTER_MS = 15 * 60_000
const RELOAD_PAUSE_MS = 1_000

interface KeyRow {
  readonly id: string
  readonly publicKey: Readonly<Record<string, string>>
  readonly sealedPrivateKey: Uint8Array
  readonly signsFrom: Date
  readonly signsUntil: Date
  readonly verifiesUntil: Date
}

interface SigningKey {
  readonly id: string
  readonly privateKey: KeyObject
}

const columns = `id, public_key as "publicKey", sealed_private_key as "sealedPrivateKey", signs_from as "signsFrom",
  signs_until as "signsUntil", verifies_until as "verifiesUntil"`

const selectKeys = sql<KeyRow>(
  'auth.signing_keys',
  `select ${columns}
   from signing_key
   where verifies_until > $1
   order by signs_from`,
)

const lockKeys = sql('auth.lock_signing_keys', `select pg_advisory_xact_lock(hashtextextended('auth.signing_key', 0))`)

const insertKey = sql(
  'auth.insert_signing_key',
  `insert into signing_key (id, public_key, sealed_private_key, signs_from, signs_until, verifies_until)
   values ($1, $2, $3, $4, $5, $6)`,
)

const deleteKeys = sql('auth.delete_signing_keys', 'delete from signing_key where verifies_until <= $1')

interface SigningKeysContext {
  readonly database: Database
  readonly clock: Clock
  readonly logger: Logger
  readonly dataKey: DataKey
}

/**
 * The keys access tokens are signed with. There are always two at least: the one that signs, and the next, which is published
 * long before it signs, so that no replica and no cache of the JWKS meets a token by a key it does not know. The one before stays until
 * its last token has expired.
 */
export class SigningKeys {
  readonly #context: SigningKeysContext
  #rows: readonly KeyRow[] = []
  readonly #public = new Map<string, KeyObject>()
  readonly #private = new Map<string, KeyObject | undefined>()
  #loadedAt = Number.NEGATIVE_INFINITY
  #maintaining: Promise<void> | undefined
  #loading: Promise<void> | undefined
  /** Told whenever the set of keys changed. */
  onChange: () => void = () => undefined

  constructor(context: SigningKeysContext) {
    this.#context = context
  }

  /** Reads the keys and makes those that are missing, one replica at a time. Calls at once share one run. */
  async maintain(): Promise<void> {
    this.#maintaining ??= this.#maintain().finally(() => {
      this.#maintaining = undefined
    })
    await this.#maintaining
  }

  /** Resolves when there is a key to sign with. */
  async check(): Promise<void> {
    if (this.#current() === undefined) await this.maintain()
  }

  /** The key that signs now. @throws {ProblemError} `dependency-unavailable` while there is none to be had. */
  async current(): Promise<SigningKey> {
    await this.check()
    const current = this.#current()
    if (current === undefined) throw new Error('There is no signing key')
    return current
  }

  async #maintain(): Promise<void> {
    await this.#load()
    if (this.#missingFrom() === undefined) return
    try {
      await this.#context.database.transaction((tx) => this.#makeMissing(tx))
    } catch (error) {
      // Keys that were not committed must not sign; those that were are read again before any is called unknown.
      this.#accept([])
      this.#loadedAt = Number.NEGATIVE_INFINITY
      throw error
    }
  }

  /** The public key of that id. One that another replica made a moment ago is looked for, at most once a second. */
  async publicKey(id: string): Promise<KeyObject | undefined> {
    const known = this.#public.get(id)
    if (known !== undefined || performance.now() - this.#loadedAt < RELOAD_PAUSE_MS) return known
    await this.#load()
    return this.#public.get(id)
  }

  /** Whether there is no key of that id, as far as keys were read within the last second; what is older must be asked for again. */
  isUnknown(id: string): boolean {
    return !this.#public.has(id) && performance.now() - this.#loadedAt < RELOAD_PAUSE_MS
  }

  /** As RFC 7517 has them. */
  get jwks(): { keys: Record<string, string>[] } {
    const now = this.#context.clock.now()
    const live = this.#rows.filter((row) => row.verifiesUntil > now)
    return { keys: live.map(({ id, publicKey }) => Object.assign({ kid: id, alg: 'EdDSA', use: 'sig' }, publicKey)) }
  }

  async #makeMissing(tx: Transaction): Promise<void> {
    await tx.query(lockKeys)
    this.#accept(await tx.query(selectKeys, [this.#context.clock.now()]))
    for (let from = this.#missingFrom(); from !== undefined; from = this.#missingFrom()) {
      const row = await this.#newKey(from)
      const { id, publicKey, sealedPrivateKey, signsFrom, signsUntil, verifiesUntil } = row
      const values = [id, JSON.stringify(publicKey), sealedPrivateKey, signsFrom, signsUntil, verifiesUntil]
      await tx.query(insertKey, values)
      this.#accept([...this.#rows, row])
    }
    await tx.query(deleteKeys, [this.#context.clock.now()])
  }

  #current(): SigningKey | undefined {
    const now = this.#context.clock.now()
    const row = this.#rows.findLast(
      (row) => row.signsFrom <= now && row.signsUntil > now && this.#private.get(row.id) !== undefined,
    )
    const privateKey = row === undefined ? undefined : this.#private.get(row.id)
    return row === undefined || privateKey === undefined ? undefined : { id: row.id, privateKey }
  }

  /** From when on a key is missing: now, or from the end of the current one. */
  #missingFrom(): Date | undefined {
    const current = this.#current()
    if (current === undefined) return this.#context.clock.now()
    const { signsUntil } = this.#rows.find((row) => row.id === current.id) ?? { signsUntil: this.#context.clock.now() }
    const hasNext = this.#rows.some((row) => row.signsFrom >= signsUntil && this.#private.get(row.id) !== undefined)
    return hasNext ? undefined : signsUntil
  }

  /** Calls at once share one read. Only one that succeeded counts: before it, no key can be called unknown. */
  async #load(): Promise<void> {
    this.#loading ??= this.#read().finally(() => {
      this.#loading = undefined
    })
    await this.#loading
  }

  async #read(): Promise<void> {
    await this.#context.dataKey.open()
    this.#accept(await this.#context.database.read(selectKeys, [this.#context.clock.now()]))
    this.#loadedAt = performance.now()
  }

  #accept(rows: readonly KeyRow[]): void {
    const isSame = rows.length === this.#rows.length && rows.every((row, index) => row.id === this.#rows[index]?.id)
    this.#rows = rows
    if (isSame) return
    for (const row of rows) {
      if (this.#public.has(row.id)) continue
      this.#public.set(row.id, createPublicKey({ key: row.publicKey, format: 'jwk' }))
      this.#private.set(row.id, this.#open(row))
    }
    for (const id of this.#public.keys()) {
      if (rows.some((row) => row.id === id)) continue
      this.#public.delete(id)
      this.#private.delete(id)
    }
    this.onChange()
  }

  async #newKey(signsFrom: Date): Promise<KeyRow> {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const { kty, crv, x } = publicKey.export({ format: 'jwk' })
    if (kty === undefined || crv === undefined || x === undefined) throw new Error('The key has no public part')
    const id = await calculateJwkThumbprint({ kty, crv, x })
    const signsUntil = new Date(signsFrom.getTime() + SIGNS_FOR_MS)
    return {
      id,
      publicKey: { kty, crv, x },
      sealedPrivateKey: seal(this.#context.dataKey.signingKey, id, privateKey.export({ format: 'der', type: 'pkcs8' })),
      signsFrom,
      signsUntil,
      verifiesUntil: new Date(signsUntil.getTime() + VERIFIES_AFTER_MS),
    }
  }

  /** A key that was sealed before there was a data key still verifies; a new one signs. */
  #open({ id, sealedPrivateKey }: KeyRow): KeyObject | undefined {
    try {
      const opened = unseal(this.#context.dataKey.signingKey, id, sealedPrivateKey)
      return createPrivateKey({ key: opened, format: 'der', type: 'pkcs8' })
    } catch {
      this.#context.logger.warn({ keyId: id }, 'A signing key cannot be opened and only verifies')
      return undefined
    }
  }
}
