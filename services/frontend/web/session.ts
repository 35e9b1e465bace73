import { computed, signal } from '@preact/signals'
import {
  authRoutes,
  isAllowed,
  type Permission,
  type Profile,
  type ProviderAnswer,
  type SecondFactorDue,
  type SignedIn,
} from '@saas/contracts'
import { signWithPasskey } from './passkeys.ts'
import { Refused, answerOf, isTemporary, send, type Input } from './send.ts'

/**
 * Who is signed in. The access token lives in memory only; the refresh token is a cookie that no script can read. Tabs
 * share a refreshed token over a channel, and a lock lets one of them refresh at a time.
 */
type Session =
  /** Not known yet: the shop is asking, or could not be asked. */
  | { readonly state: 'unknown' }
  | { readonly state: 'anonymous' }
  | { readonly state: 'signed-in'; readonly user: Profile; readonly secondFactorRequired: boolean }

interface Token {
  readonly accessToken: string
  readonly expiresAtMs: number
}
type Told =
  | { readonly token: Token; readonly user: Profile; readonly secondFactorRequired: boolean }
  | { readonly user: Profile }
  | { readonly signedOut: true }

/** Says only that a refresh is worth trying, so that visitors who never signed in cause no request. */
const HINT_KEY = 'signed-in'
/** A token is not used in its last seconds: the request takes time, and clocks differ. */
const EXPIRY_MARGIN_MS = 10_000
const RETRY_MS_MAX = 15_000
const byCookie = { headers: { 'x-session-transport': 'cookie' } } as const

const current = signal<Session>({ state: 'unknown' })
let token: Token | undefined
let refreshing: Promise<boolean> | undefined

export const session = computed(() => current.value)
export const user = computed(() => (current.value.state === 'signed-in' ? current.value.user : undefined))
/** True while a session may exist that cannot be checked because the shop does not answer. */
export const sessionInDoubt = signal(false)

/** True while the roles are withheld, because they need a second factor and none is set up. */
export const secondFactorRequired = computed(
  () => current.value.state === 'signed-in' && current.value.secondFactorRequired,
)

export function may(permission: Permission): boolean {
  return !secondFactorRequired.value && isAllowed(permission, user.value?.roles)
}

const channel = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel('session')
channel?.addEventListener('message', ({ data }: MessageEvent<Told>) => adopt(data))

function adopt(told: Told): void {
  if ('signedOut' in told) {
    token = undefined
    current.value = { state: 'anonymous' }
    return
  }
  if ('token' in told) token = told.token
  const required = 'token' in told ? told.secondFactorRequired : secondFactorRequired.value
  current.value = { state: 'signed-in', user: told.user, secondFactorRequired: required }
}

function tell(told: Told): void {
  adopt(told)
  if ('signedOut' in told) localStorage.removeItem(HINT_KEY)
  else localStorage.setItem(HINT_KEY, 'true')
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has no target, it is same-origin
  channel?.postMessage(told)
}

function accept(answer: SignedIn): void {
  const expiresAtMs = Date.now() + answer.expiresIn * 1000 - EXPIRY_MARGIN_MS
  tell({
    token: { accessToken: answer.accessToken, expiresAtMs },
    user: answer.user,
    secondFactorRequired: answer.secondFactorRequired === true,
  })
}

/** Signs in, or answers what else is to be proven before. */
export async function signIn(body: Input<typeof authRoutes.login>['body']): Promise<SecondFactorDue | undefined> {
  const response = await send(authRoutes.login, { ...byCookie, body })
  const answer = (await answerOf<typeof authRoutes.login>(response)).body
  if ('mfaToken' in answer) return answer
  accept(answer)
  return undefined
}

export async function passSecondFactor(body: Input<typeof authRoutes.passSecondFactor>['body']): Promise<void> {
  const response = await send(authRoutes.passSecondFactor, { ...byCookie, body })
  accept((await answerOf<typeof authRoutes.passSecondFactor>(response)).body)
}

/**
 * Ends this session on the server, and then here; the other tabs follow. Fails, and nothing is ended, when the shop does not answer: the
 * cookie would go on for a week, with a page that says nobody is signed in.
 */
export async function signOut(): Promise<void> {
  await send(authRoutes.logout, { body: {} })
  tell({ signedOut: true })
}

/** After the account was deleted: there is nothing to sign out of. */
export function forgetSession(): void {
  tell({ signedOut: true })
}

/** After the profile was changed. */
export function rememberUser(changed: Profile): void {
  tell({ user: changed })
}

/** Signs in with what a provider sent the browser back with, or answers what else is to be proven. */
export async function arriveFromProvider(provider: string, body: ProviderAnswer): Promise<SecondFactorDue | undefined> {
  const response = await send(authRoutes.returnFromProvider, { ...byCookie, params: { provider }, body })
  const answer = (await answerOf<typeof authRoutes.returnFromProvider>(response)).body
  if ('mfaToken' in answer) return answer
  accept(answer)
  return undefined
}

/** Signs in with nothing but a passkey of this browser. */
export async function signInWithPasskey(): Promise<void> {
  const offered = await answerOf<typeof authRoutes.offerPasskeySignIn>(await send(authRoutes.offerPasskeySignIn, {}))
  const passkey = await signWithPasskey(offered.body.options)
  const response = await send(authRoutes.signInWithPasskey, { ...byCookie, body: { passkey } })
  accept((await answerOf<typeof authRoutes.signInWithPasskey>(response)).body)
}

/** After what the session may do has changed: the next access token says so. */
export async function renewToken(): Promise<void> {
  await refresh(token?.accessToken)
}

/** A token for the next request, refreshed when needed; undefined when nobody is signed in. */
export async function usableToken(): Promise<string | undefined> {
  if (token === undefined && current.value.state !== 'signed-in') return undefined
  if (token === undefined || token.expiresAtMs <= Date.now()) await refresh(token?.accessToken)
  return token?.accessToken
}

/**
 * Exchanges the cookie for a new access token, once however many ask. Answers whether somebody is signed in.
 * Throws when the shop could not say: the session stays as it is then.
 */
export function refresh(rejectedToken: string | undefined): Promise<boolean> {
  refreshing ??= underLock(async () => {
    // Another tab may have been faster while this one waited for the lock.
    if (token !== undefined && token.accessToken !== rejectedToken && token.expiresAtMs > Date.now()) return true
    try {
      // The header is the contract's for sign-in; refresh knows a browser by its cookie and origin.
      const response = await send(authRoutes.refresh, { body: {} })
      accept((await answerOf<typeof authRoutes.refresh>(response)).body)
      return true
    } catch (error) {
      if (!(error instanceof Refused) || isTemporary(error)) throw error
      tell({ signedOut: true })
      return false
    }
  }).finally(() => (refreshing = undefined))
  return refreshing
}

// Locks exist on https and localhost only; elsewhere the server's tolerance for a repeated exchange has to do.
function underLock(work: () => Promise<boolean>): Promise<boolean> {
  return 'locks' in navigator ? navigator.locks.request('session-refresh', work) : work()
}

/** At start: finds out who is signed in, and keeps trying while the shop cannot say. */
export async function restoreSession(): Promise<void> {
  if (localStorage.getItem(HINT_KEY) === null) {
    current.value = { state: 'anonymous' }
    return
  }
  for (let waitMs = 1000; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
    try {
      await refresh(undefined)
      sessionInDoubt.value = false
      return
    } catch {
      sessionInDoubt.value = true
      await new Promise((resolve) => setTimeout(resolve, waitMs))
      if (current.value.state !== 'unknown') return
    }
  }
}
