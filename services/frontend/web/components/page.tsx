import type { Permission } from '@saas/contracts'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { texts } from '../language.ts'
import { go, linkTo, place } from '../router.ts'
import { may, secondFactorRequired, session, sessionInDoubt } from '../session.ts'
import { Empty, Loading } from './states.tsx'

let isFirstPage = true

/** A page with its one heading, which takes the focus after a change of page so that screen readers say where we are. */
export function Page(props: { title: string; kind?: string; lead?: ComponentChildren; children?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = `${props.title} · saas`
  }, [props.title])
  useEffect(() => {
    if (!isFirstPage) heading.current?.focus({ preventScroll: true })
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

/** When what had the focus went away with a change of `key`, the heading takes it: the next Tab is in the page. */
export function useKeptFocus(key: unknown): void {
  const before = useRef(key)
  useEffect(() => {
    if (before.current === key) return
    before.current = key
    if (document.activeElement === document.body) document.querySelector('h1')?.focus({ preventScroll: true })
  }, [key])
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
