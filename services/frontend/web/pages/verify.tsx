import { useSignal } from '@preact/signals'
import { authRoutes } from '@saas/contracts'
import { call } from '../client.ts'
import { Field, Form, entry } from '../components/form.tsx'
import { Page } from '../components/page.tsx'
import { useMailedToken } from '../mailed-token.ts'
import { texts } from '../language.ts'
import { say } from '../notices.ts'
import { go, linkTo, wayOn } from '../router.ts'
import { CodeField } from './login.tsx'

/**
 * Opened from the mail. Nothing is confirmed until the button is pressed: a mail scanner that opens links, even one
 * that runs scripts, must not confirm an address in its owner's name.
 */
export function VerifyPage() {
  const { verify, nav, register } = texts.value
  const token = useMailedToken()
  const confirmed = useSignal<string | undefined>(undefined)
  if (confirmed.value !== undefined && confirmed.value === token.value) {
    return (
      <Page title={verify.doneTitle} kind="narrow" lead={<p class="lead">{verify.done}</p>}>
        <a class="button" href={linkTo('login')}>
          {nav.logIn}
        </a>
      </Page>
    )
  }
  if (token.value === undefined) {
    return (
      <Page title={verify.title} kind="narrow" lead={<p class="lead">{verify.byCode}</p>}>
        <VerifyByCode />
        <p class="aside">
          <a href={linkTo('register', {}, wayOn())}>{register.title}</a>
        </p>
      </Page>
    )
  }
  const send = async (): Promise<void> => {
    await call(authRoutes.verify, { body: { token: token.value ?? '' } })
    confirmed.value = token.value
  }
  const byCode = (
    <button type="button" class="plain" onClick={() => (token.value = undefined)}>
      {verify.byCode}
    </button>
  )
  return (
    <Page title={verify.title} kind="narrow" lead={<p class="lead">{verify.intro}</p>}>
      <Form submit={verify.submit} send={send} beside={byCode}>
        {null}
      </Form>
    </Page>
  )
}

/** For those who read their mail on another device. A registration takes no code but its own. */
export function VerifyByCode({ sent, done }: { sent?: { email: string; registrationId: string }; done?: () => void }) {
  const { verify, form } = texts.value
  const send = async (entries: FormData): Promise<void> => {
    const code = entry(entries, 'code')
    const { email, registrationId } = sent ?? {}
    const proof = { email: email ?? entry(entries, 'email'), code }
    await call(authRoutes.verify, { body: registrationId === undefined ? proof : { ...proof, registrationId } })
    done?.()
    go(linkTo('login', {}, wayOn()))
    say(verify.doneTitle)
  }
  return (
    <Form submit={verify.submit} send={send}>
      {sent === undefined && (
        <Field name="email" label={form.email} type="email" autocomplete="username" required maxLength={254} />
      )}
      <CodeField />
    </Form>
  )
}
