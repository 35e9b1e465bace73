import { useSignal } from '@preact/signals'
import { authRoutes, type SecondFactorDue } from '@saas/contracts'
import { useEffect } from 'preact/hooks'
import { call } from '../client.ts'
import { Page } from '../components/page.tsx'
import { SecondFactorStep } from '../components/second-factor.tsx'
import { Failure, Loading } from '../components/states.tsx'
import { texts } from '../language.ts'
import { endLinking } from '../linking.ts'
import { go, linkTo, place, safeNext } from '../router.ts'
import { arriveFromProvider, session } from '../session.ts'
import { afterProvider } from './login.tsx'

/** Where a provider sends people back to. What it says leaves the address bar before it is used. */
export function ProviderPage() {
  const { secondFactor, logIn } = texts.value
  const due = useSignal<SecondFactorDue | undefined>(undefined)
  const failure = useSignal<unknown>(undefined)
  const { state } = session.value
  const finish = async (): Promise<void> => {
    const { params, query } = place.peek()
    const provider = params['provider'] ?? ''
    const pick = (name: string) => (query.has(name) ? { [name]: query.get(name) ?? '' } : {})
    const body = { state: query.get('state') ?? '', ...pick('code'), ...pick('iss'), ...pick('error') }
    const isLinking = endLinking()
    history.replaceState(history.state, '', location.pathname)
    try {
      if (isLinking) {
        await call(authRoutes.returnToLink, { params: { provider }, body })
        go(linkTo('account'), { replace: true })
        return
      }
      due.value = await arriveFromProvider(provider, body)
      if (due.value === undefined) goOn()
    } catch (error) {
      failure.value = error
    }
  }
  useEffect(() => {
    // A link is made by whoever is signed in, so it waits until that is known.
    if (state === 'unknown') return
    if (place.peek().query.has('state')) void finish()
    // Opened by hand, or again: there is nothing to wait for.
    else if (due.peek() === undefined) go(linkTo('login'), { replace: true })
  }, [state === 'unknown'])
  useEffect(() => {
    if (state === 'signed-in' && due.value !== undefined) goOn()
  }, [state])
  if (due.value !== undefined) {
    return (
      <Page title={secondFactor.title} kind="narrow">
        <SecondFactorStep due={due.value} begin={() => go(linkTo('login'))} />
      </Page>
    )
  }
  return (
    <Page title={logIn.title} kind="narrow">
      {failure.value === undefined ? <Loading /> : <Failure error={failure.value} retry={() => go(linkTo('login'))} />}
    </Page>
  )
}

function goOn(): void {
  go(safeNext(afterProvider.value ?? null), { replace: true })
  afterProvider.value = undefined
}
