import { useSignal } from '@preact/signals'
import { authRoutes, type Profile } from '@saas/contracts'
import type { ComponentChildren } from 'preact'
import { call } from '../client.ts'
import { Field, Form, entry } from '../components/form.tsx'
import { texts } from '../language.ts'
import { say } from '../notices.ts'
import { rememberUser } from '../session.ts'
import { useReproof } from './account-reproof.tsx'
import { useProof } from './account-security-steps.tsx'
import { CodeField } from './login.tsx'

export function EmailSection({ person }: { person: Profile }) {
  const { email, cancel } = texts.value
  const isOpen = useSignal(false)
  const sentTo = useSignal('')
  const close = (): void => {
    isOpen.value = false
    sentTo.value = ''
  }
  const beside = (
    <button type="button" class="plain" onClick={close}>
      {cancel}
    </button>
  )
  return (
    <section class="panel" aria-labelledby="email">
      <h2 id="email">{email.title}</h2>
      {!isOpen.value && (
        <>
          <p>{email.current(person.email)}</p>
          <div class="form-actions">
            <button type="button" class="button quiet" onClick={() => (isOpen.value = true)}>
              {email.change}
            </button>
          </div>
        </>
      )}
      {isOpen.value && sentTo.value === '' && (
        <NewAddress person={person} beside={beside} sent={(address) => (sentTo.value = address)} />
      )}
      {sentTo.value !== '' && <NewAddressCode address={sentTo.value} beside={beside} done={close} />}
    </section>
  )
}

type Beside = ComponentChildren

function NewAddress(props: { person: Profile; beside: Beside; sent: (address: string) => void }) {
  const { email } = texts.value
  const { person } = props
  const { fields, reproofOf } = useReproof(person)
  const { attempt, step } = useProof()
  const send = async (entries: FormData): Promise<void> => {
    const address = entry(entries, 'email')
    await attempt(async () => {
      await call(authRoutes.changeEmail, { body: { email: address, ...reproofOf(entries) } })
      props.sent(address)
    })
  }
  return (
    <>
      {step}
      <div hidden={step !== null}>
        <Form submit={email.change} send={send} beside={props.beside}>
          <Field name="email" label={email.newEmail} type="email" autocomplete="email" required maxLength={254} />
          {fields}
        </Form>
      </div>
    </>
  )
}

function NewAddressCode(props: { address: string; beside: Beside; done: () => void }) {
  const { email } = texts.value
  const send = async (entries: FormData): Promise<void> => {
    const { body } = await call(authRoutes.confirmEmail, { body: { code: entry(entries, 'code') } })
    rememberUser(body)
    say(email.done(body.email))
    props.done()
  }
  return (
    <Form submit={email.confirm} send={send} beside={props.beside}>
      <p role="status">{email.sent(props.address)}</p>
      <CodeField />
    </Form>
  )
}
