import { useSignal } from '@preact/signals'
import {
  deadLetterStatuses,
  DISMISSAL_REASON_LENGTH_MAX,
  shortId,
  type DeadLetter,
  type DeadLetterStatus,
} from '@saas/contracts'
import { call } from '../client.ts'
import { entry, Field, Form } from '../components/form.tsx'
import { ListFrame } from '../components/states.tsx'
import { bytes, dateTime } from '../formats.ts'
import { texts } from '../language.ts'
import { useList } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'
import { operatedNames, operatorOf, type OperatedService } from '../operator-calls.ts'

const PAGE_ITEMS = 50

/** Of every service at once: who looks for what went wrong does not know where. */
export function DeadLetters() {
  const { operate } = texts.value
  const status = useSignal<DeadLetterStatus>('open')
  return (
    <>
      <label class="filter">
        {operate.status}{' '}
        <select
          onChange={({ currentTarget }) =>
            (status.value = deadLetterStatuses.find((known) => known === currentTarget.value) ?? 'open')
          }
        >
          {deadLetterStatuses.map((known) => (
            <option key={known} value={known}>
              {operate.letterStatuses[known]}
            </option>
          ))}
        </select>
      </label>
      <div class="letter-lists">
        {operatedNames.map((service) => (
          <LettersOf key={service} service={service} status={status.value} />
        ))}
      </div>
    </>
  )
}

function LettersOf({ service, status }: { service: OperatedService; status: DeadLetterStatus }) {
  const { operate } = texts.value
  const { list, more, reload, change } = useList<DeadLetter>(
    async (cursor, signal) => {
      const query = { limit: PAGE_ITEMS, cursor, status }
      return (await call(operatorOf(service).listDeadLetters, { query, signal })).body
    },
    [service, status],
  )
  const none = status === 'open' ? operate.noDeadLetters : operate.noEndedLetters
  return (
    <section aria-labelledby={`letters-${service}`}>
      <h3 id={`letters-${service}`}>{service}</h3>
      <ListFrame list={list.value} more={more} reload={reload} empty={<p class="hint">{none}</p>}>
        <ul class="letters">
          {list.value.items.map((letter) => (
            <li key={letter.id} class="panel">
              <h4>{letter.subject}</h4>
              <p class="finding">{letter.reason}</p>
              <p class="hint">{dateTime(letter.createdAt)}</p>
              <details>
                <summary>{operate.message}</summary>
                {letter.cut && <p class="hint">{operate.beginning(bytes(letter.bytes))}</p>}
                <pre>{typeof letter.data === 'string' ? letter.data : JSON.stringify(letter.data, null, 2)}</pre>
              </details>
              <Ending
                service={service}
                letter={letter}
                replace={(changed) => change((known) => (known.id === changed.id ? changed : known))}
              />
            </li>
          ))}
        </ul>
      </ListFrame>
    </section>
  )
}

/** How it ended, or how it can be. */
function Ending({
  service,
  letter,
  replace,
}: {
  service: OperatedService
  letter: DeadLetter
  replace: (changed: DeadLetter) => void
}) {
  const { operate } = texts.value
  const params = { id: letter.id }
  const replay = async (): Promise<void> => {
    try {
      const { body } = await call(operatorOf(service).replayDeadLetter, { params })
      replace(body)
      if (body.replayedAt === null) say(operate.notReplayed, 'trouble')
      else say(operate.replayed)
    } catch (error) {
      sayTrouble(error)
    }
  }
  const dismiss = async (entries: FormData): Promise<void> => {
    const reason = entry(entries, 'reason')
    replace((await call(operatorOf(service).dismissDeadLetter, { params, body: { reason } })).body)
    say(operate.dismissed)
  }
  const reopen = async (): Promise<void> => {
    try {
      replace((await call(operatorOf(service).reopenDeadLetter, { params })).body)
      say(operate.reopened)
    } catch (error) {
      sayTrouble(error)
    }
  }
  if (letter.replayedAt !== null) return <p>{operate.replayedAt(dateTime(letter.replayedAt))}</p>
  // A service that is older than this page says nothing about it.
  if (letter.dismissal) {
    const { at, by, reason } = letter.dismissal
    return (
      <>
        <p>
          {operate.dismissedAt(dateTime(at), shortId(by))} {reason}
        </p>
        <button type="button" class="button quiet small" onClick={() => void reopen()}>
          {operate.reopen}
        </button>
      </>
    )
  }
  return (
    <>
      <button type="button" class="button quiet small" onClick={() => void replay()}>
        {operate.replay}
      </button>
      <details>
        <summary>{operate.dismiss}</summary>
        <Form submit={operate.dismiss} send={dismiss} kind="row">
          <Field
            name="reason"
            label={operate.whyDismissed}
            hint={operate.whyDismissedHint}
            maxLength={DISMISSAL_REASON_LENGTH_MAX}
            required
          />
        </Form>
      </details>
    </>
  )
}
