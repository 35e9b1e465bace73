import { ProblemError, problems, type SecondFactorDue, type SignedIn } from '@saas/contracts'
import type { Request } from './request.ts'
import { ACCESS_TOKEN_SECONDS } from './access-token.ts'
import { profileOf } from './account.ts'
import { IDLE_MS, type OpenSession } from './sessions.ts'

/** A refresh token as it came. */
interface Presented {
  readonly token: string
  readonly byCookie: boolean
}

interface SignedInAnswer {
  readonly status: 200
  readonly body: SignedIn
  readonly headers: Readonly<Record<string, string>>
  readonly cookies?: readonly string[]
}

/** Whether the client wants its refresh token as a cookie. */
export function isByCookie(headers: { readonly 'x-session-transport'?: string }): boolean {
  return headers['x-session-transport'] === 'cookie'
}

/**
 * How refresh tokens travel: in bodies for programs, in a cookie for browsers, whose scripts never see it. On https the cookie's name makes the
 * browser refuse one that another host or plain http set (`__Host-`, RFC 6265bis section 4.1.3.2).
 */
export class SessionTransport {
  readonly #origin: string
  readonly #cookieName: string
  readonly #attributes: string

  constructor(publicUrl: string) {
    this.#origin = new URL(publicUrl).origin
    const isSecure = this.#origin.startsWith('https:')
    this.#cookieName = isSecure ? '__Host-refresh' : 'refresh'
    this.#attributes = `Path=/; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`
  }

  /** The answer to whoever has passed the first factor, and may have to pass a second. */
  outcome(
    outcome: OpenSession | SecondFactorDue,
    byCookie: boolean,
  ): SignedInAnswer | { status: 200; body: SecondFactorDue; headers: Readonly<Record<string, string>> } {
    return 'mfaToken' in outcome
      ? { status: 200, body: outcome, headers: { 'cache-control': 'no-store' } }
      : this.signedIn(outcome, byCookie)
  }

  /** The answer to whoever signed in or refreshed. */
  signedIn(session: OpenSession, byCookie: boolean): SignedInAnswer {
    const { account, accessToken, refreshToken, isSecondFactorRequired } = session
    const body: SignedIn = {
      accessToken,
      tokenType: 'Bearer',
      expiresIn: ACCESS_TOKEN_SECONDS,
      ...(byCookie ? {} : { refreshToken }),
      user: profileOf(account),
      ...(isSecondFactorRequired ? { secondFactorRequired: true } : {}),
    }
    const answer = { status: 200, body, headers: { 'cache-control': 'no-store' } } as const
    return byCookie ? { ...answer, cookies: [this.#cookie(refreshToken, IDLE_MS / 1_000)] } : answer
  }

  /** The `Set-Cookie` that makes a browser forget its token. */
  get forgotten(): string {
    return this.#cookie('', 0)
  }

  /**
   * The refresh token of a request. A cookie comes along with requests that another site made, so it counts only when the
   * browser says that the shop's own pages sent them.
   *
   * @throws {ProblemError} `forbidden` for a cookie from elsewhere.
   */
  presented(request: Request, inBody: string | undefined): Presented | undefined {
    if (inBody !== undefined) return { token: inBody, byCookie: false }
    const token = this.#cookieOf(request)
    if (token === undefined) return undefined
    const { origin, 'sec-fetch-site': site } = request.headers
    if (origin === this.#origin && (site === undefined || site === 'same-origin')) return { token, byCookie: true }
    request.log.warn({ origin, site }, 'a session cookie from another origin was refused')
    throw new ProblemError(problems.forbidden, {
      detail: 'A session cookie is accepted only in requests from the shop’s own pages.',
    })
  }

  /** Two cookies of one name may be an attempt to slip one in, so neither counts. */
  #cookieOf(request: Request): string | undefined {
    const prefix = `${this.#cookieName}=`
    const found = (request.headers.cookie ?? '')
      .split(';')
      .map((pair) => pair.trim())
      .filter((pair) => pair.startsWith(prefix))
    const value = found[0]?.slice(prefix.length)
    return found.length === 1 && value !== '' ? value : undefined
  }

  #cookie(value: string, maxAgeSeconds: number): string {
    return `${this.#cookieName}=${value}; Max-Age=${maxAgeSeconds}; ${this.#attributes}`
  }
}
