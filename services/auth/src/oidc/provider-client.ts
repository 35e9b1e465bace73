import type { Clock, OidcProvider } from '@saas/config'
import { Email, ProblemError, problems, type Language, type ProviderAnswer } from '@saas/contracts'
import { valueChecker, type Logger } from '@saas/http'
import type { Configuration } from 'openid-client'
import { languageOfTag } from '../wanted-language.ts'
import { boundedFetch, isProviderDown } from './bounded-fetch.ts'

const TIMEOUT_SECONDS = 5
/** When a provider is asked again what it says of itself: its endpoints and keys may change. */
const ASKED_AGAIN_AFTER_MS = 600_000
/** A provider is asked no more often, whoever is refused and whatever fails. */
const PAUSE_MS = 5_000
/** How long what it said counts while it cannot be asked. */
const KEPT_MS = 3_600_000
/** OpenID Connect Core 2: at most 255 characters. */
const SUBJECT = /^[^\p{Control}\p{Surrogate}]{1,255}$/u
const wrongInAddress = valueChecker(Email)

/** What one sign-in at a provider is held together by. */
export interface Exchange {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

/** Who somebody is to a provider. */
export interface ProvidedIdentity {
  readonly issuer: string
  readonly subject: string
  /** None when they have one that no account here can have. */
  readonly email: string | null
  readonly isEmailVerified: boolean
  readonly name: string | null
  /** Of ours, the one they read there. */
  readonly language: Language | undefined
}

/** Speaks OpenID Connect with one provider: discovery, code flow with PKCE, state and nonce. What it answers is bounded. */
export class ProviderClient {
  readonly provider: OidcProvider
  readonly #redirectUri: string
  readonly #clock: Clock
  readonly #logger: Logger
  #configuration: Configuration | undefined
  #saidAtMs = Number.NEGATIVE_INFINITY
  /** When the last question was answered, or given up. */
  #askedUntilMs = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined
  /** Why the last question had no answer. */
  #failure: unknown
  /** Whether something went wrong since, as it does when endpoints or keys have changed. */
  #isDoubted = false

  constructor(
    provider: OidcProvider,
    { publicUrl, clock, logger }: { readonly publicUrl: string; readonly clock: Clock; readonly logger: Logger },
  ) {
    this.provider = provider
    this.#redirectUri = `${publicUrl.replace(/\/+$/, '')}/oidc/${provider.id}`
    this.#clock = clock
    this.#logger = logger
  }

  /** Where the browser goes, and what to keep until it is back. @throws {ProblemError} `dependency-unavailable` */
  async depart(): Promise<{ readonly url: string; readonly exchange: Exchange }> {
    const client = await import('openid-client')
    const exchange = {
      state: client.randomState(),
      nonce: client.randomNonce(),
      verifier: client.randomPKCECodeVerifier(),
    }
    const url = client.buildAuthorizationUrl(await this.#discovered(), {
      redirect_uri: this.#redirectUri,
      scope: 'openid email profile',
      state: exchange.state,
      nonce: exchange.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(exchange.verifier),
      code_challenge_method: 'S256',
    })
    return { url: url.href, exchange }
  }

  /** Who came back. @throws {ProblemError} `provider-refused`, `dependency-unavailable` */
  async arrive(answer: ProviderAnswer, exchange: Exchange): Promise<ProvidedIdentity> {
    const configuration = await this.#discovered()
    const client = await import('openid-client')
    const url = new URL(this.#redirectUri)
    for (const [name, value] of Object.entries(answer)) url.searchParams.set(name, value)
    try {
      const tokens = await client.authorizationCodeGrant(configuration, url, {
        expectedState: exchange.state,
        expectedNonce: exchange.nonce,
        pkceCodeVerifier: exchange.verifier,
        idTokenExpected: true,
      })
      const claims = tokens.claims()
      if (claims === undefined) throw new Error('There is no ID token')
      if (!SUBJECT.test(claims.sub)) throw new Error('The subject is none that can be kept')
      // Some providers say more than who it is only when asked for it (OpenID Connect Core 5.4).
      const hasMore = claims['email'] === undefined && configuration.serverMetadata().userinfo_endpoint !== undefined
      const { email, email_verified, locale, name } = hasMore
        ? await client.fetchUserInfo(configuration, tokens.access_token, claims.sub)
        : claims
      return {
        issuer: claims.iss,
        subject: claims.sub,
        email: typeof email === 'string' && wrongInAddress(email).length === 0 ? email : null,
        isEmailVerified: email_verified === true,
        name: typeof name === 'string' ? name : null,
        language: typeof locale === 'string' ? languageOfTag(locale) : undefined,
      }
    } catch (error) {
      this.#isDoubted = true
      this.#logger.warn({ provider: this.provider.id, problem: String(error) }, 'A provider’s answer was refused')
      throw isProviderDown(error) ? unavailable(error) : new ProblemError(problems.providerRefused, { cause: error })
    }
  }

  /** What the provider says of itself, as of the last ten minutes if it answers. Calls at once share one question, and after one that failed nobody waits while the last answer counts. */
  async #discovered(): Promise<Configuration> {
    const nowMs = this.#clock.now().getTime()
    const isDue = this.#isDoubted || nowMs - this.#saidAtMs >= ASKED_AGAIN_AFTER_MS
    if (isDue && nowMs - this.#askedUntilMs >= PAUSE_MS) {
      this.#asking ??= this.#ask(nowMs).finally(() => {
        this.#asking = undefined
      })
    }
    const isKept = nowMs - this.#saidAtMs < KEPT_MS
    // Who did not answer the last time may keep everybody waiting again, for nothing.
    if (isDue && !(isKept && this.#failure !== undefined)) await this.#asking
    if (this.#configuration === undefined || nowMs - this.#saidAtMs >= KEPT_MS) throw unavailable(this.#failure)
    return this.#configuration
  }

  async #ask(nowMs: number): Promise<void> {
    try {
      this.#configuration = await this.#discover()
      this.#saidAtMs = nowMs
      this.#isDoubted = false
      this.#failure = undefined
    } catch (error) {
      this.#failure = error
      this.#logger.warn({ provider: this.provider.id, problem: String(error) }, 'A provider cannot be reached')
    }
    this.#askedUntilMs = this.#clock.now().getTime()
  }

  async #discover(): Promise<Configuration> {
    const client = await import('openid-client')
    const { issuer, clientId, clientSecret } = this.provider
    const isPlain = issuer.startsWith('http:')
    const configuration = await client.discovery(new URL(issuer), clientId, clientSecret, undefined, {
      timeout: TIMEOUT_SECONDS,
      [client.customFetch]: boundedFetch,
      execute: [
        // Else an ID token would be believed because it came over TLS, whoever signed it.
        client.enableNonRepudiationChecks,
        // oxlint-disable-next-line typescript/no-deprecated -- only for a provider on this machine, which the configuration enforces
        ...(isPlain ? [client.allowInsecureRequests] : []),
      ],
    })
    // Browsers go there, and run what a `javascript:` URL says.
    const { protocol } = new URL(configuration.serverMetadata().authorization_endpoint ?? '')
    if (protocol !== 'https:' && !(isPlain && protocol === 'http:')) throw new Error('Nobody can sign in there')
    return configuration
  }
}

function unavailable(cause: unknown): ProblemError {
  return new ProblemError(problems.dependencyUnavailable, { headers: { 'retry-after': '5' }, cause })
}
