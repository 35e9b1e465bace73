import { PASSWORD_CHARACTERS_MIN, authRoutes } from '@saas/contracts'
import { useEffect, useMemo } from 'preact/hooks'
import { v7 as uuidv7 } from 'uuid'
import { call } from '../client.ts'
import { Field, Form, PasswordField, entry, newSecretEntry } from '../components/form.tsx'
import { Page } from '../components/page.tsx'
import { kept } from '../kept.ts'
import { language, texts } from '../language.ts'
import { say, sayTrouble } from '../notices.ts'
import { go, linkTo, place, safeNext, wayOn } from '../router.ts'
import { session, signIn } from '../session.ts'
import { CodeField } from './login.tsx'
import { VerifyByCode } from './verify.tsx'

interface Sent {
  readonly email: string
  readonly registrationId: string
  readonly byCode: boolean
}

/** Whom the mail went to whose code or link is waited for. */
const sentTo = kept('registration', (value) => value as Sent)

export function RegisterPage() {
  const { register, form, logIn, nav } = texts.value
  const byCode = place.value.query.get('by') === 'code'
  const registrationId = useMemo(() => uuidv7(), [sentTo.value])
  const { state } = session.value
  useEffect(() => {
    // Also when the link of the mail was opened in another tab, and signed in there.
    if (state !== 'signed-in') return
    go(safeNext(wayOn().next ?? null), { replace: true })
    sentTo.value = undefined
  }, [state])
  if (sentTo.value !== undefined) return <LookIntoMailbox sent={sentTo.value} />
  const send = async (entries: FormData): Promise<void> => {
    const email = entry(entries, 'email')
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
    await call(authRoutes.register, {
      body: {
        email,
        name: entry(entries, 'name'),
        ...(byCode ? {} : { password: newSecretEntry(entries, 'password') }),
        language: language.value,
        registrationId,
        // Some browsers know no zone; the profile can say it later.
        ...(zone === undefined || zone === '' ? {} : { zone }),
      },
    })
    sentTo.value = { email, registrationId, byCode }
  }
  const tab = (by: string | undefined, label: string, isCurrent: boolean) => (
    <a href={linkTo('register', {}, { ...wayOn(), by })} aria-current={isCurrent || undefined}>
      {label}
    </a>
  )
  return (
    <Page title={register.title} kind="narrow">
      <nav class="tabs" aria-label={register.title}>
        {tab(undefined, logIn.byPassword, !byCode)}
        {tab('code', register.byCode, byCode)}
      </nav>
      <Form key={byCode ? 'code' : 'password'} submit={register.submit} send={send}>
        <Field name="name" label={form.name} autocomplete="name" required maxLength={100} />
        <Field name="email" label={form.email} type="email" autocomplete="username" required maxLength={254} />
        {byCode ? (
          <p>{register.byCodeHint}</p>
        ) : (
          <PasswordField
            name="password"
            label={form.password}
            hint={form.passwordHint(PASSWORD_CHARACTERS_MIN)}
            autocomplete="new-password"
          />
        )}
      </Form>
      <p class="aside">
        {register.haveAccount} <a href={linkTo('login', {}, wayOn())}>{nav.logIn}</a>
      </p>
    </Page>
  )
}

function LookIntoMailbox({ sent }: { sent: Sent }) {
  const { register } = texts.value
  const { email, registrationId, byCode } = sent
  const again = async (): Promise<void> => {
    try {
      await call(authRoutes.resendVerification, { body: { email, registrationId } })
      say(register.sentAgain)
    } catch (error) {
      sayTrouble(error)
    }
  }
  return (
    <Page
      title={register.sentTitle}
      kind="narrow"
      lead={<p class="lead">{byCode ? register.sentCode(email) : register.sent(email)}</p>}
    >
      {byCode ? <EnterByCode sent={sent} /> : <VerifyByCode sent={sent} done={() => (sentTo.value = undefined)} />}
      <p class="aside">
        <button type="button" class="plain" onClick={() => void again()}>
          {register.again}
        </button>
      </p>
      <p class="aside">
        <button type="button" class="plain" onClick={() => (sentTo.value = undefined)}>
          {register.otherAddress}
        </button>
      </p>
    </Page>
  )
}

/** The code proves the address and signs in at once: without a password there is nothing else to sign in with. */
function EnterByCode({ sent: { email, registrationId } }: { sent: Sent }) {
  const enter = async (entries: FormData): Promise<void> => {
    // A second factor is never due: an account that has one has its address proven.
    await signIn({ email, code: entry(entries, 'code'), registrationId })
  }
  return (
    <Form submit={texts.value.logIn.submit} send={enter}>
      <CodeField autofocus />
    </Form>
  )
}
