import { useSignal, type Signal } from '@preact/signals'
import { authRoutes } from '@saas/contracts'
import { call } from '../client.ts'
import { Form } from '../components/form.tsx'
import { Page, SignedInOnly } from '../components/page.tsx'
import { texts } from '../language.ts'
import { useMailedToken } from '../mailed-token.ts'
import { say } from '../notices.ts'
import { go, linkTo } from '../router.ts'
import { rememberUser, signOut, user } from '../session.ts'

/** Opened from the mail to the new address. The account's owner alone can confirm it, so they sign in first if need be. */
export function EmailPage() {
  const token = useMailedToken(signInReturns)
  return (
    <SignedInOnly>
      <Confirm token={token} />
    </SignedInOnly>
  )
}

/** A visitor who has to sign in comes back to this page, whose fragment is gone by then. */
const signInReturns = 'email-token'

function Confirm({ token }: { token: Signal<string | undefined> }) {
  const { email } = texts.value
  if (token.value === undefined) return <NoToken title={email.title} />
  const send = async (): Promise<void> => {
    const { body } = await call(authRoutes.confirmEmail, { body: { token: token.value ?? '' } })
    sessionStorage.removeItem(signInReturns)
    rememberUser(body)
    go(linkTo('account'))
    say(email.done(body.email))
  }
  return (
    <Page title={email.confirm} kind="narrow" lead={<p class="lead">{email.confirmIntro}</p>}>
      <Form submit={email.confirm} send={send}>
        {null}
      </Form>
    </Page>
  )
}

/** Opened from the mail to the old address, by whoever did not ask for the change. */
export function EmailUndoPage() {
  const { email, nav } = texts.value
  const token = useMailedToken()
  const isDone = useSignal(false)
  if (isDone.value) {
    return (
      <Page title={email.undoneTitle} kind="narrow" lead={<p class="lead">{email.undone}</p>}>
        <a class="button" href={linkTo('login')}>
          {nav.logIn}
        </a>
      </Page>
    )
  }
  if (token.value === undefined) return <NoToken title={email.undo} />
  const send = async (): Promise<void> => {
    await call(authRoutes.undoEmail, { body: { token: token.value ?? '' } })
    isDone.value = true
    // Whoever was signed in here is no more.
    if (user.value !== undefined) await signOut()
  }
  return (
    <Page title={email.undo} kind="narrow" lead={<p class="lead">{email.undoIntro}</p>}>
      <Form submit={email.undo} send={send} danger>
        {null}
      </Form>
    </Page>
  )
}

function NoToken({ title }: { title: string }) {
  return (
    <Page title={title} kind="narrow" lead={<p class="lead">{texts.value.email.noToken}</p>}>
      <a class="button quiet" href={linkTo('account')}>
        {texts.value.nav.account}
      </a>
    </Page>
  )
}
