import { ProblemError, problems } from '@saas/contracts'
import { sql, type Database } from '@saas/state'
import type { Clock } from '@saas/config'
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { sha256, type DerivedKeys } from '../derived-keys.ts'
import { seal, unseal } from '../sealing.ts'
import type { Exchange } from './provider-client.ts'

const LIFETIME_MS = 10 * 60_000
const BROWSER_BYTES = 32

const insertDeparture = sql(
  'auth.insert_provider_sign_in',
  `insert into provider_sign_in (state_hash, provider, sealed_secrets, browser_hash, account_id, expires_at)
   values ($1, $2, $3, $4, $5, $6)`,
)

const takeDeparture = sql<{ sealedSecrets: Uint8Array; browserHash: Uint8Array }>(
  'auth.take_provider_sign_in',
  `delete from provider_sign_in
   where state_hash = $1 and provider = $2 and account_id is not distinct from $3 and expires_at > $4
   returning sealed_secrets as "sealedSecrets", browser_hash as "browserHash"`,
)

interface DeparturesContext {
  readonly database: Database
  readonly clock: Clock
  readonly keys: DerivedKeys
  readonly publicUrl: string
}

/** Sign-ins that are at a provider: each is taken up once, within ten minutes, by the browser that began it. */
export class Departures {
  readonly #context: DeparturesContext
  readonly #isSecure: boolean

  constructor(context: DeparturesContext) {
    this.#context = context
    this.#isSecure = context.publicUrl.startsWith('https:')
  }

  /** Answers the `Set-Cookie` that binds it to the browser. */
  async begin(provider: string, exchange: Exchange, accountId: string | null): Promise<string> {
    const browser = randomBytes(BROWSER_BYTES).toString('base64url')
    const secrets = Buffer.from(JSON.stringify([exchange.nonce, exchange.verifier]))
    const sealed = seal(this.#context.keys.factor, exchange.state, secrets)
    const expiresAt = new Date(this.#context.clock.now().getTime() + LIFETIME_MS)
    const values = [sha256(exchange.state), provider, sealed, sha256(browser), accountId, expiresAt]
    await this.#context.database.write(insertDeparture, values)
    return this.#cookie(browser, LIFETIME_MS / 1_000)
  }

  /** @throws {ProblemError} `wrong-token` for one that is unknown, used, expired, or another browser's */
  async take(
    provider: string,
    state: string,
    accountId: string | null,
    cookies: string | undefined,
  ): Promise<Exchange> {
    const values = [sha256(state), provider, accountId, this.#context.clock.now()]
    const [row] = await this.#context.database.write(takeDeparture, values)
    const browser = this.#browserIn(cookies)
    const isSame = row !== undefined && browser !== undefined && timingSafeEqual(sha256(browser), row.browserHash)
    if (!isSame) throw new ProblemError(problems.wrongToken, { detail: 'This sign-in has ended. Start again.' })
    const opened = unseal(this.#context.keys.factor, state, row.sealedSecrets).toString('utf8')
    const [nonce, verifier] = JSON.parse(opened) as [string, string]
    return { state, nonce, verifier }
  }

  /** The `Set-Cookie` that makes the browser forget it. */
  get forgotten(): string {
    return this.#cookie('', 0)
  }

  get #cookieName(): string {
    return this.#isSecure ? '__Host-provider' : 'provider'
  }

  #browserIn(cookies = ''): string | undefined {
    const prefix = `${this.#cookieName}=`
    const found = cookies
      .split(';')
      .map((pair) => pair.trim())
      .filter((pair) => pair.startsWith(prefix))
    return found.length === 1 ? found[0]?.slice(prefix.length) : undefined
  }

  // Strict is enough: the page that the provider sends people to is ours, and asks by itself.
  #cookie(value: string, maxAgeSeconds: number): string {
    const secure = this.#isSecure ? '; Secure' : ''
    return `${this.#cookieName}=${value}; Max-Age=${maxAgeSeconds}; Path=/; HttpOnly; SameSite=Strict${secure}`
  }
}
