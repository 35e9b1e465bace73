import { useSignal } from '@preact/signals'
import { authRoutes, type Profile } from '@saas/contracts'
import { call } from '../client.ts'
import { PasswordField, entry, secretEntry } from '../components/form.tsx'
import { texts } from '../language.ts'
import { say, sayTrouble } from '../notices.ts'
import { CodeField } from './login.tsx'

/** The password shows again who is there; a mailed code does for those who have none. */
export function useReproof(person: Profile) {
  const { email } = texts.value
  const byCode = useSignal(false)
  const askForCode = async (): Promise<void> => {
    try {
      await call(authRoutes.requestLoginCode, { body: { email: person.email } })
      byCode.value = true
      say(email.codeSent(person.email))
    } catch (error) {
      sayTrouble(error)
    }
  }
  const fields = (
    <>
      {byCode.value ? (
        <CodeField />
      ) : (
        <PasswordField name="currentPassword" label={email.password} autocomplete="current-password" />
      )}
      <button type="button" class="plain" onClick={() => (byCode.value ? (byCode.value = false) : void askForCode())}>
        {byCode.value ? email.withPassword : email.withCode}
      </button>
    </>
  )
  const reproofOf = (entries: FormData) =>
    byCode.value ? { code: entry(entries, 'code') } : { currentPassword: secretEntry(entries, 'currentPassword') }
  return { fields, reproofOf }
}
