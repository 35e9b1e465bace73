import type { DeadLetter } from '@saas/contracts'
import { call } from '../client.ts'
import { ListFrame } from '../components/states.tsx'
import { dateTime } from '../formats.ts'
import { texts } from '../language.ts'
import { useList } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'
import { operatedNames, operatorOf, type OperatedService } from '../operator-calls.ts'

const PAGE_ITEMS = 50

/** Of every service at once: who looks for what went wrong does not know where. */
export function DeadLetters() {
  return (
    <div class="letter-lists">
      {operatedNames.map((service) => (
        <LettersOf key={service} service={service} />
      ))}
    </div>
  )
}

function LettersOf({ service }: { service: OperatedService }) {
  const { operate } = texts.value
  const { list, more, reload, change } = useList<DeadLetter>(
    async (cursor, signal) => {
      const query = { limit: PAGE_ITEMS, cursor }
      return (await call(operatorOf(service).listDeadLetters, { query, signal })).body
    },
    [service],
  )
  const replay = async (id: string): Promise<void> => {
    try {
      const { body } = await call(operatorOf(service).replayDeadLetter, { params: { id } })
      change((letter) => (letter.id === id ? body : letter))
      if (body.replayedAt === null) say(operate.notReplayed, 'trouble')
      else say(operate.replayed)
    } catch (error) {
      sayTrouble(error)
    }
  }
  return (
    <section aria-labelledby={`letters-${service}`}>
      <h3 id={`letters-${service}`}>{service}</h3>
      <ListFrame list={list.value} more={more} reload={reload} empty={<p class="hint">{operate.noDeadLetters}</p>}>
        <ul class="letters">
          {list.value.items.map((letter) => (
            <li key={letter.id} class="panel">
              <h4>{letter.subject}</h4>
              <p class="finding">{letter.reason}</p>
              <p class="hint">{dateTime(letter.createdAt)}</p>
              <details>
                <summary>{operate.message}</summary>
                <pre>{JSON.stringify(letter.data, null, 2)}</pre>
              </details>
              {letter.replayedAt === null ? (
                <button type="button" class="button quiet small" onClick={() => void replay(letter.id)}>
                  {operate.replay}
                </button>
              ) : (
                <p>{operate.replayedAt(dateTime(letter.replayedAt))}</p>
              )}
            </li>
          ))}
        </ul>
      </ListFrame>
    </section>
  )
}
