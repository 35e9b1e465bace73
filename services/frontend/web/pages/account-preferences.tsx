import { useSignal } from '@preact/signals'
import { authRoutes, optionalMailKinds, type MailPreferences, type OptionalMailKind } from '@saas/contracts'
import { useEffect } from 'preact/hooks'
import { call } from '../client.ts'
import { Failure, Loading } from '../components/states.tsx'
import { texts } from '../language.ts'
import { useLoaded } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'
import { may } from '../session.ts'

/** Sent to those alone who look after the products. */
const officeKinds: ReadonlySet<OptionalMailKind> = new Set(['daily-sales', 'low-stock'])

export function PreferencesSection() {
  const { preferences } = texts.value
  const { loaded, reload } = useLoaded(async (signal) => (await call(authRoutes.getPreferences, { signal })).body, [])
  return (
    <section class="panel" aria-labelledby="preferences">
      <h2 id="preferences">{preferences.title}</h2>
      <p class="hint">{preferences.hint}</p>
      {loaded.value.state === 'loading' && <Loading />}
      {loaded.value.state === 'failed' && <Failure error={loaded.value.error} retry={reload} />}
      {loaded.value.state === 'ready' && <Choices known={loaded.value.value} />}
    </section>
  )
}

function Choices({ known }: { known: MailPreferences }) {
  const { preferences, saved } = texts.value
  const wanted = useSignal(known)
  useEffect(() => {
    wanted.value = known
  }, [known])
  const change = async (kind: OptionalMailKind, isWanted: boolean): Promise<void> => {
    const before = wanted.value
    wanted.value = { ...before, [kind]: isWanted }
    try {
      wanted.value = (await call(authRoutes.changePreferences, { body: { [kind]: isWanted } })).body
      say(saved)
    } catch (error) {
      wanted.value = { ...wanted.value, [kind]: before[kind] }
      sayTrouble(error)
    }
  }
  const shown = optionalMailKinds.filter((kind) => !officeKinds.has(kind) || may('products:write'))
  return (
    <fieldset class="preferences">
      <legend class="visually-hidden">{preferences.title}</legend>
      {shown.map((kind) => (
        <label class="check" key={kind}>
          <input
            type="checkbox"
            name={kind}
            checked={wanted.value[kind]}
            onChange={(event) => void change(kind, event.currentTarget.checked)}
          />
          <span>{preferences.kinds[kind]}</span>
        </label>
      ))}
    </fieldset>
  )
}
