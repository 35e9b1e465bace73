import { useSignal } from '@preact/signals'
import { authRoutes, type Factors, type TotpProposal } from '@saas/contracts'
import { call } from '../client.ts'
import { Form, PasswordField, entry, secretEntry } from '../components/form.tsx'
import { AppCodeField, RecoveryCodeField } from '../components/second-factor.tsx'
import { texts } from '../language.ts'
import type { ComponentChildren } from 'preact'
import { useLoaded } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'
import { signWithPasskey } from '../passkeys.ts'
import { Refused } from '../send.ts'

/** The secret as a picture and as text, and the field for the first code. */
export function TotpSetup(props: { proposal: TotpProposal; confirm: (code: string) => Promise<void> }) {
  const { security } = texts.value
  const { secret, uri } = props.proposal
  return (
    <div class="totp">
      <p>{security.scan}</p>
      <QrCode text={uri} label={security.qr} />
      <p class="hint">
        {security.orType} <code class="secret">{secret.replaceAll(/(.{4})/g, '$1 ').trim()}</code>
      </p>
      <Form submit={security.confirmApp} send={async (entries) => await props.confirm(entry(entries, 'code'))}>
        <AppCodeField />
      </Form>
    </div>
  )
}

/** Drawn here: the secret goes to nobody else. */
function QrCode({ text, label }: { text: string; label: string }) {
  const { loaded } = useLoaded(async () => (await import('lean-qr')).generate(text), [text])
  if (loaded.value.state !== 'ready') return <div class="qr" />
  const code = loaded.value.value
  const rows = Array.from({ length: code.size }, (_, index) => index)
  const path = rows.flatMap((y) => rows.filter((x) => code.get(x, y)).map((x) => `M${x} ${y}h1v1h-1z`)).join('')
  const quiet = 4
  const box = `${-quiet} ${-quiet} ${code.size + 2 * quiet} ${code.size + 2 * quiet}`
  return (
    <svg class="qr" viewBox={box} role="img" aria-label={label} shape-rendering="crispEdges">
      <path d={path} />
    </svg>
  )
}

/** The one time that recovery codes are shown. */
export function RecoveryCodesShown({ codes, done }: { codes: readonly string[]; done: () => void }) {
  const { security } = texts.value
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(codes.join('\n'))
    say(security.copied)
  }
  return (
    <div class="note" role="status">
      <h3>{security.codesTitle}</h3>
      <p>{security.codesHint}</p>
      <ul class="recovery-codes">
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <div class="form-actions">
        <button type="button" class="button" onClick={done}>
          {security.codesKept}
        </button>
        <button type="button" class="button quiet" onClick={() => void copy().catch(sayTrouble)}>
          {security.copy}
        </button>
      </div>
    </div>
  )
}

export interface Proof {
  /** Does it; when the service first wants to know who is there, `step` asks, and it is done after that. */
  readonly attempt: (work: () => Promise<void>) => Promise<void>
  /** To be shown instead of what was sent, while it is there. */
  readonly step: ComponentChildren
}

/** For whatever may first ask for a second factor, or for a recent sign-in. */
export function useProof(): Proof {
  const interrupted = useSignal<{ work: () => Promise<void>; factors: Factors } | undefined>(undefined)
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    interrupted.value = undefined
    try {
      await work()
    } catch (error) {
      if (!(error instanceof Refused) || error.problem !== 'reauthentication-required') throw error
      interrupted.value = { work, factors: (await call(authRoutes.listFactors, {})).body }
    }
  }
  const cancel = (): void => {
    interrupted.value = undefined
  }
  const now = interrupted.value
  if (now === undefined) return { attempt, step: null }
  // The proof was right; whatever is refused after it has nothing to do with this form any more.
  const proven = async (): Promise<void> => await attempt(now.work).catch(sayTrouble)
  return { attempt, step: <ProveAgain factors={now.factors} proven={proven} cancel={cancel} /> }
}

/** Asks again who is there: for the second factor where one is on, else for the password. */
function ProveAgain(props: { factors: Factors; proven: () => Promise<void>; cancel: () => void }) {
  const { security, secondFactor, form, cancel } = texts.value
  const { totp, passkeys } = props.factors
  const byRecoveryCode = useSignal(false)
  const hasFactor = totp !== null || passkeys.length > 0
  const send = async (entries: FormData): Promise<void> => {
    if (!hasFactor) await call(authRoutes.reauthenticate, { body: { password: secretEntry(entries, 'password') } })
    else if (byRecoveryCode.value) {
      await call(authRoutes.reauthenticate, { body: { recoveryCode: entry(entries, 'recoveryCode') } })
    } else await call(authRoutes.reauthenticate, { body: { code: entry(entries, 'code') } })
    await props.proven()
  }
  const byPasskey = async (): Promise<void> => {
    const { options } = (await call(authRoutes.offerPasskeyAsProof, {})).body
    await call(authRoutes.reauthenticate, { body: { passkey: await signWithPasskey(options) } })
    await props.proven()
  }
  if (totp === null && passkeys.length > 0) byRecoveryCode.value = true
  const fields = byRecoveryCode.value ? <RecoveryCodeField /> : <AppCodeField />
  return (
    <div class="note">
      <p>{security.proveAgain}</p>
      {passkeys.length > 0 && (
        <button type="button" class="button" onClick={() => void byPasskey().catch(sayTrouble)}>
          {secondFactor.usePasskey}
        </button>
      )}
      <Form
        submit={secondFactor.submit}
        send={send}
        beside={
          <button type="button" class="plain" onClick={props.cancel}>
            {cancel}
          </button>
        }
      >
        {hasFactor ? fields : <PasswordField name="password" label={form.password} autocomplete="current-password" />}
      </Form>
      {totp !== null && !byRecoveryCode.value && (
        <button type="button" class="plain" onClick={() => (byRecoveryCode.value = true)}>
          {secondFactor.useRecoveryCode}
        </button>
      )}
    </div>
  )
}
