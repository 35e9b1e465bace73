import { useSignal } from '@preact/signals'
import { authRoutes, type Profile } from '@saas/contracts'
import type { ComponentChildren } from 'preact'
import { call } from '../client.ts'
import { Form } from '../components/form.tsx'
import { keepFile } from '../kept-file.ts'
import { texts } from '../language.ts'
import { say, sayTrouble } from '../notices.ts'
import { go, linkTo } from '../router.ts'
import { forgetSession } from '../session.ts'
import { useReproof } from './account-reproof.tsx'
import { useProof } from './account-security-steps.tsx'

const ATTEMPTS_MAX = 5

/** A copy of everything, and the way out. */
export function LeavingSection({ person }: { person: Profile }) {
  const { leaving, cancel } = texts.value
  const isLeaving = useSignal(false)
  const isExporting = useSignal(false)
  const download = async (): Promise<void> => {
    if (isExporting.value) return
    isExporting.value = true
    try {
      const everything = await exported()
      if (everything === undefined) say(leaving.later)
      else save(everything)
    } catch (error) {
      sayTrouble(error)
    } finally {
      isExporting.value = false
    }
  }
  const close = (
    <button type="button" class="plain" onClick={() => (isLeaving.value = false)}>
      {cancel}
    </button>
  )
  return (
    <>
      <section class="panel" aria-labelledby="data">
        <h2 id="data">{leaving.data}</h2>
        <p>{leaving.dataHint}</p>
        <div class="form-actions">
          <button type="button" class="button quiet" aria-disabled={isExporting.value} onClick={() => void download()}>
            {isExporting.value ? leaving.collecting : leaving.download}
          </button>
        </div>
      </section>
      <section class="panel danger" aria-labelledby="leave">
        <h2 id="leave">{leaving.title}</h2>
        <p>{leaving.hint}</p>
        {isLeaving.value ? (
          <Leave person={person} beside={close} />
        ) : (
          <div class="form-actions">
            <button type="button" class="button danger quiet" onClick={() => (isLeaving.value = true)}>
              {leaving.begin}
            </button>
          </div>
        )}
      </section>
    </>
  )
}

function Leave({ person, beside }: { person: Profile; beside: ComponentChildren }) {
  const { leaving } = texts.value
  const { fields, reproofOf } = useReproof(person)
  const { attempt, step } = useProof()
  const send = async (entries: FormData): Promise<void> => {
    const body = reproofOf(entries)
    await attempt(async () => {
      await call(authRoutes.deleteProfile, { body })
      // This page is for those who are signed in: it would send its visitor to the login page.
      go(linkTo('shop'))
      forgetSession()
      say(leaving.done)
    })
  }
  return (
    <>
      {step}
      <div hidden={step !== null}>
        <Form submit={leaving.confirm} send={send} beside={beside} danger>
          {fields}
        </Form>
      </div>
    </>
  )
}

/** Asked again while a service has not answered yet; the shop waits some seconds itself each time. */
async function exported(): Promise<unknown> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const { status, body } = await call(authRoutes.exportProfile, {})
    if (status === 200) return body
  }
  return undefined
}

function save(everything: unknown): void {
  keepFile(new Blob([JSON.stringify(everything, null, 2)], { type: 'application/json' }), 'account.json')
}
