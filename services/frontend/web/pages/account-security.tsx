import { useSignal } from '@preact/signals'
import { authRoutes, type Factors, type Passkey, type TotpProposal } from '@saas/contracts'
import { call } from '../client.ts'
import { Field, Form, entry } from '../components/form.tsx'
import { AskingButton } from '../components/question.tsx'
import { Failure, Loading } from '../components/states.tsx'
import { dateTime } from '../formats.ts'
import { texts } from '../language.ts'
import { useLoaded } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'
import { canUsePasskeys, makePasskey } from '../passkeys.ts'
import { renewToken, secondFactorRequired } from '../session.ts'
import { ProviderPart } from './account-providers.tsx'
import { RecoveryCodesShown, TotpSetup, useProof } from './account-security-steps.tsx'

/** What can open the account. Whatever changes it may first ask who is there. */
export function SecuritySection() {
  const { security } = texts.value
  const { loaded, reload } = useLoaded(async (signal) => (await call(authRoutes.listFactors, { signal })).body, [])
  const proposal = useSignal<TotpProposal | undefined>(undefined)
  const codes = useSignal<readonly string[]>([])
  const { attempt, step } = useProof()
  const act = (work: () => Promise<void>): void => void attempt(work).catch(sayTrouble)
  const changed = async (message: string, recoveryCodes: readonly string[] = []): Promise<void> => {
    proposal.value = undefined
    if (recoveryCodes.length > 0) codes.value = recoveryCodes
    await renewToken()
    say(message)
    reload()
  }
  const parts: Parts = { act, attempt, changed }
  const body = loaded.value
  return (
    <section class="panel security" aria-labelledby="security">
      <h2 id="security">{security.title}</h2>
      {secondFactorRequired.value && <p class="note">{security.required}</p>}
      {codes.value.length > 0 && <RecoveryCodesShown codes={codes.value} done={() => (codes.value = [])} />}
      {body.state === 'loading' && <Loading />}
      {body.state === 'failed' && <Failure error={body.error} retry={reload} />}
      {step}
      {body.state === 'ready' && (
        <>
          <AuthenticatorPart factors={body.value} proposal={proposal} parts={parts} />
          {canUsePasskeys() && <PasskeyPart passkeys={body.value.passkeys} parts={parts} />}
          <ProviderPart identities={body.value.identities} parts={parts} />
          {(body.value.totp !== null || body.value.passkeys.length > 0) && (
            <RecoveryPart left={body.value.recoveryCodesLeft} parts={parts} />
          )}
        </>
      )}
    </section>
  )
}

export interface Parts {
  readonly act: (work: () => Promise<void>) => void
  readonly attempt: (work: () => Promise<void>) => Promise<void>
  readonly changed: (message: string, recoveryCodes?: readonly string[]) => Promise<void>
}

function AuthenticatorPart(props: { factors: Factors; proposal: { value: TotpProposal | undefined }; parts: Parts }) {
  const { security, cancel } = texts.value
  const { factors, proposal, parts } = props
  const propose = async (): Promise<void> => {
    proposal.value = (await call(authRoutes.proposeTotp, {})).body
  }
  const confirm = async (code: string): Promise<void> =>
    await parts.attempt(async () => {
      const { recoveryCodes } = (await call(authRoutes.confirmTotp, { body: { code } })).body
      await parts.changed(security.appOn, recoveryCodes)
    })
  const remove = async (): Promise<void> => {
    await call(authRoutes.removeTotp, {})
    await parts.changed(security.appOff)
  }
  return (
    <div class="way">
      <h3>{security.app}</h3>
      <p class="hint">
        {factors.totp === null ? security.appHint : security.appSince(dateTime(factors.totp.createdAt))}
      </p>
      {proposal.value === undefined ? (
        <div class="form-actions">
          <button type="button" class="button quiet" onClick={() => parts.act(propose)}>
            {factors.totp === null ? security.setUpApp : security.replaceApp}
          </button>
          {factors.totp !== null && (
            <AskingButton
              label={security.removeApp}
              question={security.removeAppQuestion}
              confirm={security.removeApp}
              act={() => parts.act(remove)}
            />
          )}
        </div>
      ) : (
        <>
          <TotpSetup proposal={proposal.value} confirm={confirm} />
          <button type="button" class="plain" onClick={() => (proposal.value = undefined)}>
            {cancel}
          </button>
        </>
      )}
    </div>
  )
}

function PasskeyPart({ passkeys, parts }: { passkeys: readonly Passkey[]; parts: Parts }) {
  const { security, form, cancel } = texts.value
  const isAdding = useSignal(false)
  const add = async (name: string): Promise<void> =>
    await parts.attempt(async () => {
      const { options } = (await call(authRoutes.offerPasskey, {})).body
      const passkey = await makePasskey(options)
      const { recoveryCodes } = (await call(authRoutes.addPasskey, { body: { name, passkey } })).body
      isAdding.value = false
      await parts.changed(security.passkeyAdded, recoveryCodes)
    })
  return (
    <div class="way">
      <h3>{security.passkeys}</h3>
      <p class="hint">{security.passkeysHint}</p>
      {passkeys.length > 0 && (
        <ul class="sessions">
          {passkeys.map((passkey) => (
            <PasskeyItem key={passkey.id} passkey={passkey} parts={parts} />
          ))}
        </ul>
      )}
      {isAdding.value ? (
        <Form
          submit={security.makePasskey}
          send={async (entries) => await add(entry(entries, 'name'))}
          beside={
            <button type="button" class="plain" onClick={() => (isAdding.value = false)}>
              {cancel}
            </button>
          }
        >
          <Field name="name" label={form.name} hint={security.passkeyNameHint} required maxLength={60} autofocus />
        </Form>
      ) : (
        <div class="form-actions">
          <button type="button" class="button quiet" onClick={() => (isAdding.value = true)}>
            {security.addPasskey}
          </button>
        </div>
      )}
    </div>
  )
}

function PasskeyItem({ passkey, parts }: { passkey: Passkey; parts: Parts }) {
  const { security, form, save, remove: removeLabel } = texts.value
  const isRenaming = useSignal(false)
  const { id, name, createdAt, lastUsedAt } = passkey
  const rename = async (entries: FormData): Promise<void> => {
    await call(authRoutes.renamePasskey, { params: { id }, body: { name: entry(entries, 'name') } })
    isRenaming.value = false
    await parts.changed(security.passkeyRenamed)
  }
  const remove = async (): Promise<void> => {
    await call(authRoutes.removePasskey, { params: { id } })
    await parts.changed(security.passkeyRemoved)
  }
  if (isRenaming.value) {
    return (
      <li>
        <Form submit={save} send={rename} kind="row">
          <Field name="name" label={form.name} defaultValue={name} required maxLength={60} autofocus />
        </Form>
      </li>
    )
  }
  return (
    <li>
      <div>
        <p class="strong">{name}</p>
        <p class="hint">
          {security.addedOn(dateTime(createdAt))} ·{' '}
          {lastUsedAt === null ? security.neverUsed : security.lastUsed(dateTime(lastUsedAt))}
        </p>
      </div>
      <div class="form-actions">
        <button
          type="button"
          class="button quiet small"
          aria-label={`${security.rename}: ${name}`}
          onClick={() => (isRenaming.value = true)}
        >
          {security.rename}
        </button>
        <AskingButton
          label={removeLabel}
          question={security.removePasskeyQuestion(name)}
          confirm={removeLabel}
          kind="button danger quiet small"
          act={() => parts.act(remove)}
        />
      </div>
    </li>
  )
}

function RecoveryPart({ left, parts }: { left: number; parts: Parts }) {
  const { security } = texts.value
  const renew = async (): Promise<void> => {
    const { recoveryCodes } = (await call(authRoutes.renewRecoveryCodes, {})).body
    await parts.changed(security.codesMade, recoveryCodes)
  }
  return (
    <div class="way">
      <h3>{security.recoveryCodes}</h3>
      <p class="hint">{security.codesLeft(left)}</p>
      <AskingButton
        label={security.makeCodes}
        question={security.makeCodesQuestion}
        confirm={security.makeCodes}
        kind="button quiet"
        act={() => parts.act(renew)}
      />
    </div>
  )
}
