import type { Permission } from '@saas/contracts'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { texts } from '../language.ts'
import { go, linkTo, place } from '../router.ts'
import { may, secondFactorRequired, session, sessionInDoubt } from '../session.ts'
import { Empty, Loading } from './states.tsx'

let isFirstPage = true

/** A page with its one heading, which takes the focus after a change of page so that screen readers say where we are, unless a field of it has it. */
export function Page(props: { title: string; kind?: string; lead?: ComponentChildren; children?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = `${props.title} · saas`
  }, [props.title])
  useEffect(() => {
    const isInPage = heading.current?.closest('.page')?.contains(document.activeElement) === true
    if (!isFirstPage && !isInPage) heading.current?.focus({ preventScroll: true })
    isFirstPage = false
  }, [])
  return (
    <div class={`page ${props.kind ?? ''}`}>
      <header class="page-head">
        <h1 tabIndex={-1} ref={heading}>
          <bdi>{props.title}</bdi>
        </h1>
        {props.lead}
      </header>
      {props.children}
    </div>
  )
}

/** Shows its children to signed-in people only, and sends others to sign in and back. */
export function SignedInOnly({ permission, children }: { permission?: Permission; children: ComponentChildren }) {
  const { state } = session.value
  useEffect(() => {
    if (state === 'anonymous') go(linkTo('login', {}, { next: place.peek().path }), { replace: true })
  }, [state])
  if (state !== 'signed-in') {
    return sessionInDoubt.value ? <Empty title={texts.value.failure.inDoubt} /> : <Loading />
  }
  if (permission !== undefined && secondFactorRequired.value) {
    const { requiredTitle, required, setUp } = texts.value.security
    return (
      <Page title={requiredTitle}>
        <p>{required}</p>
        <p>
          <a class="button" href={linkTo('account')}>
            {setUp}
          </a>
        </p>
      </Page>
    )
  }
  if (permission !== undefined && !may(permission)) {
    const { title, hint } = texts.value.forbidden
    return (
      <Page title={title}>
        <p>{hint}</p>
      </Page>
    )
  }
  return <>{children}</>
}
