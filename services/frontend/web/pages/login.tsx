import { useSignal } from '@preact/signals'
import { authRoutes, MAILED_CODE_DIGITS_MAX, type SecondFactorDue } from '@saas/contracts'
import { useEffect } from 'preact/hooks'
import { call } from '../client.ts'
import { Field, Form, PasswordField, entry, secretEntry } from '../components/form.tsx'
import { Page } from '../components/page.tsx'
import { kept } from '../kept.ts'
import { SecondFactorStep } from '../components/second-factor.tsx'
import { describe } from '../errors.ts'
import { texts } from '../language.ts'
import { useLoaded } from '../loaded.ts'
import { go, linkTo, place, safeNext, wayOn } from '../router.ts'
import { sayTrouble } from '../notices.ts'
import { canUsePasskeys } from '../passkeys.ts'
import { Refused } from '../send.ts'
import { session, signIn, signInWithPasskey } from '../session.ts'

export function LogInPage() {
  const { logIn, nav, secondFactor } = texts.value
  const due = useSignal<SecondFactorDue | undefined>(undefined)
  const { query } = place.value
  const next = safeNext(query.get('next'))
  const byCode = query.get('by') === 'code'
  const { state } = session.value
  useEffect(() => {
    // Also when another tab signed in.
    if (state === 'signed-in') go(next, { replace: true })
  }, [state])
  if (due.value !== undefined) {
    return (
      <Page title={secondFactor.title} kind="narrow" key="second-factor">
        <SecondFactorStep due={due.value} begin={() => (due.value = undefined)} />
      </Page>
    )
  }
  const ask = (outcome: SecondFactorDue | undefined): void => {
    due.value = outcome
  }
  const tab = (by: string | undefined, label: string, isCurrent: boolean) => (
    <a href={linkTo('login', {}, { ...wayOn(), by })} aria-current={isCurrent || undefined}>
      {label}
    </a>
  )
  const lead = query.has('next') && <p class="lead">{logIn.continues}</p>
  return (
    <Page title={logIn.title} kind="narrow" lead={lead}>
      <nav class="tabs" aria-label={logIn.title}>
        {tab(undefined, logIn.byPassword, !byCode)}
        {tab('code', logIn.byCode, byCode)}
      </nav>
      {byCode ? <ByCode ask={ask} /> : <ByPassword ask={ask} />}
      {canUsePasskeys() && (
        <button type="button" class="button quiet wide" onClick={() => void signInWithPasskey().catch(sayTrouble)}>
          {logIn.byPasskey}
        </button>
      )}
      <Providers />
      <p class="aside">
        {logIn.newHere} <a href={linkTo('register', {}, wayOn())}>{nav.register}</a>
      </p>
    </Page>
  )
}

/** Where somebody wanted to go who is away to sign in at a provider. */
export const afterProvider = kept('after-provider', String)

/** A button for each provider; without any, or while they are not known, nothing. */
function Providers() {
  const { logIn } = texts.value
  const { loaded } = useLoaded(async (signal) => (await call(authRoutes.listProviders, { signal })).body.items, [])
  if (loaded.value.state !== 'ready') return null
  const depart = async (provider: string): Promise<void> => {
    const { url } = (await call(authRoutes.departToProvider, { params: { provider } })).body
    afterProvider.value = wayOn().next
    location.assign(url)
  }
  return (
    <>
      {loaded.value.value.map(({ id, name }) => (
        <button key={id} type="button" class="button quiet wide" onClick={() => void depart(id).catch(sayTrouble)}>
          {logIn.byProvider(name)}
        </button>
      ))}
    </>
  )
}

type Ask = (outcome: SecondFactorDue | undefined) => void

function ByPassword({ ask }: { ask: Ask }) {
  const { logIn, form } = texts.value
  const send = async (entries: FormData): Promise<void> => {
    ask(await signIn({ email: entry(entries, 'email'), password: secretEntry(entries, 'password') }))
  }
  return (
    <Form submit={logIn.submit} send={send} beside={<a href={linkTo('reset')}>{logIn.forgot}</a>} failure={unverified}>
      <Field name="email" label={form.email} type="email" autocomplete="username" required maxLength={254} />
      <PasswordField name="password" label={form.password} autocomplete="current-password" />
    </Form>
  )
}

/** The password was right, so the way on is the mail that was just sent. */
function unverified(error: unknown) {
  if (!(error instanceof Refused) || error.problem !== 'address-not-verified') return undefined
  return (
    <>
      <p>{describe(error)}</p>
      <a href={linkTo('verify', {}, wayOn())}>{texts.value.verify.byCode}</a>
    </>
  )
}

/** Whom a code was sent to. */
const codeSentTo = kept('login-code', String)

function ByCode({ ask }: { ask: Ask }) {
  const { logIn, form } = texts.value
  const email = codeSentTo.value
  const request = async (entries: FormData): Promise<void> => {
    const address = entry(entries, 'email')
    await call(authRoutes.requestLoginCode, { body: { email: address } })
    codeSentTo.value = address
  }
  const enter = async (entries: FormData): Promise<void> => {
    ask(await signIn({ email: email ?? '', code: entry(entries, 'code') }))
    codeSentTo.value = undefined
  }
  if (email === undefined) {
    return (
      <Form key="request" submit={logIn.sendCode} send={request}>
        <Field name="email" label={form.email} type="email" autocomplete="username" required maxLength={254} />
      </Form>
    )
  }
  return (
    <Form
      key="code"
      submit={logIn.submit}
      send={enter}
      beside={
        <button type="button" class="plain" onClick={() => (codeSentTo.value = undefined)}>
          {texts.value.cancel}
        </button>
      }
    >
      <p role="status">{logIn.codeSent(email)}</p>
      <CodeField autofocus />
    </Form>
  )
}

export function CodeField({ autofocus = false }) {
  return (
    <Field
      name="code"
      label={texts.value.form.code}
      class="code"
      inputMode="numeric"
      autocomplete="one-time-code"
      pattern={`[0-9]{6,${MAILED_CODE_DIGITS_MAX}}`}
      required
      maxLength={MAILED_CODE_DIGITS_MAX}
      autofocus={autofocus}
    />
  )
}
