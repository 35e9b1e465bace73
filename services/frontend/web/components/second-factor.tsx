import { useSignal } from '@preact/signals'
import { authRoutes, type SecondFactorDue } from '@saas/contracts'
import { call } from '../client.ts'
import { describe } from '../errors.ts'
import { texts } from '../language.ts'
import { sayTrouble } from '../notices.ts'
import { canUsePasskeys, signWithPasskey } from '../passkeys.ts'
import { Refused } from '../send.ts'
import { passSecondFactor } from '../session.ts'
import { Field, Form, entry } from './form.tsx'

/** What follows a right password or code when the account has a second factor. */
export function SecondFactorStep({ due, begin }: { due: SecondFactorDue; begin: () => void }) {
  const { secondFactor, cancel } = texts.value
  const { mfaToken, methods } = due
  const byRecoveryCode = useSignal(!methods.includes('totp'))
  const hasEnded = useSignal(false)
  const send = async (entries: FormData): Promise<void> => {
    try {
      await passSecondFactor(
        byRecoveryCode.value
          ? { mfaToken, recoveryCode: entry(entries, 'recoveryCode') }
          : { mfaToken, code: entry(entries, 'code') },
      )
    } catch (error) {
      hasEnded.value = error instanceof Refused && error.problem === 'wrong-token'
      throw error
    }
  }
  const failure = (error: unknown) => (hasEnded.value ? <p>{secondFactor.ended}</p> : <p>{describe(error)}</p>)
  const byPasskey = async (): Promise<void> => {
    const { options } = (await call(authRoutes.offerPasskeyAsFactor, { body: { mfaToken } })).body
    await passSecondFactor({ mfaToken, passkey: await signWithPasskey(options) })
  }
  return (
    <>
      {methods.includes('passkey') && canUsePasskeys() && (
        <button type="button" class="button wide" onClick={() => void byPasskey().catch(sayTrouble)}>
          {secondFactor.usePasskey}
        </button>
      )}
      <Form
        key={String(byRecoveryCode.value)}
        submit={secondFactor.submit}
        send={send}
        failure={failure}
        beside={
          <button type="button" class="plain" onClick={begin}>
            {hasEnded.value ? secondFactor.again : cancel}
          </button>
        }
      >
        {byRecoveryCode.value ? <RecoveryCodeField /> : <AppCodeField />}
      </Form>
      <div class="aside">
        {byRecoveryCode.value && methods.includes('totp') && (
          <button type="button" class="plain" onClick={() => (byRecoveryCode.value = false)}>
            {secondFactor.useApp}
          </button>
        )}
        {!byRecoveryCode.value && methods.includes('recovery-code') && (
          <button type="button" class="plain" onClick={() => (byRecoveryCode.value = true)}>
            {secondFactor.useRecoveryCode}
          </button>
        )}
      </div>
    </>
  )
}

export function AppCodeField() {
  const { secondFactor } = texts.value
  return (
    <Field
      name="code"
      label={secondFactor.appCode}
      hint={secondFactor.appCodeHint}
      class="code"
      inputMode="numeric"
      autocomplete="one-time-code"
      pattern="[0-9]{6}"
      required
      maxLength={6}
      autofocus
    />
  )
}

export function RecoveryCodeField() {
  const { secondFactor } = texts.value
  return (
    <Field
      name="recoveryCode"
      label={secondFactor.recoveryCode}
      hint={secondFactor.recoveryCodeHint}
      class="code"
      autocomplete="off"
      autocapitalize="none"
      spellcheck={false}
      minLength={10}
      required
      maxLength={20}
      autofocus
    />
  )
}
