import { useSignal } from '@preact/signals'
import { PASSWORD_CHARACTERS_MIN, authRoutes } from '@saas/contracts'
import { v7 as uuidv7 } from 'uuid'
import { call } from '../client.ts'
import { Field, Form, PasswordField, entry, secretEntry } from '../components/form.tsx'
import { Page } from '../components/page.tsx'
import { language, texts } from '../language.ts'
import { say, sayTrouble } from '../notices.ts'
import { linkTo } from '../router.ts'
import { VerifyByCode } from './verify.tsx'

export function RegisterPage() {
  const { register, form, nav } = texts.value
  const sentTo = useSignal('')
  const registrationId = useSignal(uuidv7())
  if (sentTo.value !== '') return <LookIntoMailbox email={sentTo.value} registrationId={registrationId.value} />
  const send = async (entries: FormData): Promise<void> => {
    const email = entry(entries, 'email')
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
    await call(authRoutes.register, {
      body: {
        email,
        name: entry(entries, 'name'),
        password: secretEntry(entries, 'password'),
        language: language.value,
        registrationId: registrationId.value,
        // Some browsers know no zone; the profile can say it later.
        ...(zone === undefined || zone === '' ? {} : { zone }),
      },
    })
    sentTo.value = email
  }
  return (
    <Page title={register.title} kind="narrow">
      <Form submit={register.submit} send={send}>
        <Field name="name" label={form.name} autocomplete="name" required maxLength={100} />
        <Field name="email" label={form.email} type="email" autocomplete="username" required maxLength={254} />
        <PasswordField
          name="password"
          label={form.password}
          hint={form.passwordHint(PASSWORD_CHARACTERS_MIN)}
          autocomplete="new-password"
        />
      </Form>
      <p class="aside">
        {register.haveAccount} <a href={linkTo('login')}>{nav.logIn}</a>
      </p>
    </Page>
  )
}

function LookIntoMailbox({ email, registrationId }: { email: string; registrationId: string }) {
  const { register } = texts.value
  const again = async (): Promise<void> => {
    try {
      await call(authRoutes.resendVerification, { body: { email, registrationId } })
      say(register.sentAgain)
    } catch (error) {
      sayTrouble(error)
    }
  }
  return (
    <Page title={register.sentTitle} kind="narrow" lead={<p class="lead">{register.sent(email)}</p>}>
      <VerifyByCode email={email} registrationId={registrationId} />
      <p class="aside">
        <button type="button" class="plain" onClick={() => void again()}>
          {register.again}
        </button>
      </p>
    </Page>
  )
}
