import { useSignal } from '@preact/signals'
import { PASSWORD_CHARACTERS_MIN, authRoutes } from '@saas/contracts'
import { call } from '../client.ts'
import { Field, Form, PasswordField, entry, newSecretEntry } from '../components/form.tsx'
import { Page } from '../components/page.tsx'
import { texts } from '../language.ts'
import { useMailedToken } from '../mailed-token.ts'
import { say } from '../notices.ts'
import { go, linkTo } from '../router.ts'

export function ResetPage() {
  const token = useMailedToken()
  return token.value === undefined ? <AskForLink /> : <SetPassword token={token.value} />
}

function AskForLink() {
  const { reset, form } = texts.value
  const sentTo = useSignal('')
  const send = async (entries: FormData): Promise<void> => {
    const email = entry(entries, 'email')
    await call(authRoutes.forgotPassword, { body: { email } })
    sentTo.value = email
  }
  return (
    <Page title={reset.title} kind="narrow" lead={<p class="lead">{reset.intro}</p>}>
      <Form submit={reset.submit} send={send}>
        <Field name="email" label={form.email} type="email" autocomplete="username" required maxLength={254} />
      </Form>
      <p class="aside" role="status">
        {sentTo.value !== '' && reset.sent(sentTo.value)}
      </p>
    </Page>
  )
}

function SetPassword({ token }: { token: string }) {
  const { reset, form } = texts.value
  const send = async (entries: FormData): Promise<void> => {
    await call(authRoutes.resetPassword, { body: { token, password: newSecretEntry(entries, 'password') } })
    go(linkTo('login'))
    say(reset.done)
  }
  return (
    <Page title={reset.newTitle} kind="narrow">
      <Form submit={reset.set} send={send}>
        <PasswordField
          name="password"
          label={reset.newPassword}
          hint={form.passwordHint(PASSWORD_CHARACTERS_MIN)}
          autocomplete="new-password"
        />
      </Form>
    </Page>
  )
}
