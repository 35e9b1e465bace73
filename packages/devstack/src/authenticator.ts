import { authRoutes, totpCode, totpStepAt, type Route } from '@saas/contracts'

/** How a program or a test calls a route, signed in or not. */
export type SendCall = (
  route: Route,
  options: { readonly body?: object; readonly accessToken?: string },
) => Promise<{ readonly status: number; readonly body: unknown }>

/** What a sign-in answers. */
export interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
}

export interface FactorOwner {
  readonly email: string
  readonly password: string
  /** Without one the account has no second factor. */
  readonly authenticator?: Authenticator
}

/**
 * Somebody's authenticator app with the recovery codes that came with it, for programs that sign in as an administrator.
 *
 * Each step's code counts once, so whoever signs in more than twice within thirty seconds uses recovery codes up.
 */
export class Authenticator {
  readonly secret: string
  readonly recoveryCodes: string[]
  readonly #now: () => Date
  #lastStep = 0

  constructor(secret: string, recoveryCodes: readonly string[], now: () => Date = () => new Date()) {
    this.secret = secret
    this.recoveryCodes = [...recoveryCodes]
    this.#now = now
  }

  /** The next proof that will count. */
  async proof(): Promise<{ readonly code: string } | { readonly recoveryCode: string }> {
    const present = totpStepAt(this.#now())
    const step = Math.max(this.#lastStep + 1, present)
    if (step > present + 1) {
      const recoveryCode = this.recoveryCodes.pop()
      if (recoveryCode !== undefined) return { recoveryCode }
      throw new Error('No further code counts within this half minute, and the recovery codes are used up')
    }
    this.#lastStep = step
    return { code: await totpCode(this.secret, step) }
  }

  /** What its owner is left with who has lost the phone: the recovery codes. */
  lost(): Authenticator {
    const left = new Authenticator(this.secret, this.recoveryCodes, this.#now)
    left.#lastStep = Number.POSITIVE_INFINITY
    return left
  }

  /** Turns an authenticator app on for whoever holds the access token. */
  static async enrol(send: SendCall, accessToken: string, now?: () => Date): Promise<Authenticator> {
    const proposal = await answered<{ secret: string }>(send, authRoutes.proposeTotp, { accessToken })
    const app = new Authenticator(proposal.secret, [], now)
    const body = await app.proof()
    const confirmed = await answered<{ recoveryCodes: string[] }>(send, authRoutes.confirmTotp, { accessToken, body })
    app.recoveryCodes.push(...confirmed.recoveryCodes)
    return app
  }
}

/** Signs in by password and, where one is due, by the second factor. @throws {Error} saying what was answered instead. */
export async function signInWithFactor(send: SendCall, owner: FactorOwner): Promise<Tokens> {
  const { email, password, authenticator } = owner
  const body = { email, password }
  const answer = await answered<Tokens | { mfaToken: string }>(send, authRoutes.login, { body })
  if (!('mfaToken' in answer)) return answer
  if (authenticator === undefined) throw new Error(`${email} needs a second factor to sign in`)
  const proof = { mfaToken: answer.mfaToken, ...(await authenticator.proof()) }
  return await answered<Tokens>(send, authRoutes.passSecondFactor, { body: proof })
}

/**
 * Signs somebody in who has no second factor yet and sets one up, as an administrator must. The tokens are those of the session
 * that has passed it.
 */
export async function enrolAdministrator(
  send: SendCall,
  owner: Omit<FactorOwner, 'authenticator'>,
  now?: () => Date,
): Promise<{ readonly tokens: Tokens; readonly authenticator: Authenticator }> {
  const { accessToken, refreshToken } = await signInWithFactor(send, owner)
  const authenticator = await Authenticator.enrol(send, accessToken, now)
  const tokens = await answered<Tokens>(send, authRoutes.refresh, { body: { refreshToken } })
  return { tokens, authenticator }
}

async function answered<T>(send: SendCall, route: Route, options: Parameters<SendCall>[1]): Promise<T> {
  const { status, body } = await send(route, options)
  if (status >= 300) throw new Error(`${route.id} answered ${status}: ${JSON.stringify(body)}`)
  return body as T
}
