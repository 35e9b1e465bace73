import { useSignal } from '@preact/signals'
import { authRoutes, type OptionalMailKind } from '@saas/contracts'
import { call } from '../client.ts'
import { Form } from '../components/form.tsx'
import { Page } from '../components/page.tsx'
import { useMailedToken } from '../mailed-token.ts'
import { texts } from '../language.ts'
import { linkTo } from '../router.ts'

/** The form that mail programs send by themselves (RFC 8058), so that there is one way to unsubscribe. */
const oneClick = (): Blob => new Blob(['List-Unsubscribe=One-Click'], { type: 'application/x-www-form-urlencoded' })

/** Opened from a mail, by people and by scanners: nothing changes until the button is pressed. */
export function UnsubscribePage() {
  const { preferences } = texts.value
  const token = useMailedToken()
  const unsubscribed = useSignal<OptionalMailKind | undefined>(undefined)
  const manage = (
    <p class="aside">
      <a href={linkTo('account')}>{preferences.manage}</a>
    </p>
  )
  if (unsubscribed.value !== undefined) {
    const done = preferences.unsubscribed(preferences.kinds[unsubscribed.value])
    return (
      <Page title={preferences.doneTitle} kind="narrow" lead={<p class="lead">{done}</p>}>
        {manage}
      </Page>
    )
  }
  const kind = kindOf(token.value)
  if (token.value === undefined || kind === undefined) {
    return (
      <Page title={preferences.unsubscribe} kind="narrow" lead={<p class="lead">{preferences.noToken}</p>}>
        {manage}
      </Page>
    )
  }
  const send = async (): Promise<void> => {
    const params = { token: token.value ?? '' }
    unsubscribed.value = (await call(authRoutes.unsubscribe, { params, upload: oneClick() })).body.kind
  }
  const question = preferences.question(preferences.kinds[kind])
  return (
    <Page title={preferences.unsubscribe} kind="narrow" lead={<p class="lead">{question}</p>}>
      <Form submit={preferences.unsubscribe} send={send} beside={<a href={linkTo('account')}>{preferences.manage}</a>}>
        {null}
      </Form>
    </Page>
  )
}

/** Only for the question; whether the token is good the server says. */
function kindOf(token: string | undefined): OptionalMailKind | undefined {
  const [, kind = ''] = token?.split('.') ?? []
  return Object.hasOwn(texts.value.preferences.kinds, kind) ? (kind as OptionalMailKind) : undefined
}
