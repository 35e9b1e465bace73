import { useSignal } from '@preact/signals'
import type { DeadLetter } from '@saas/contracts'
import { call } from '../client.ts'
import { Empty, ListFrame } from '../components/states.tsx'
import { dateTime } from '../formats.ts'
import { texts } from '../language.ts'
import { useList } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'
import { operatedNames, operatorOf, type OperatedService } from '../operator-calls.ts'

const PAGE_ITEMS = 50

export function DeadLetters() {
  const { operate } = texts.value
  const service = useSignal<OperatedService>('orders')
  const { list, more, reload, change } = useList<DeadLetter>(
    async (cursor, signal) => {
      const query = { limit: PAGE_ITEMS, cursor }
      return (await call(operatorOf(service.value).listDeadLetters, { query, signal })).body
    },
    [service.value],
  )
  const replay = async (id: string): Promise<void> => {
    try {
      const { body } = await call(operatorOf(service.value).replayDeadLetter, { params: { id } })
      change((letter) => (letter.id === id ? body : letter))
      say(operate.replayed)
    } catch (error) {
      sayTrouble(error)
    }
  }
  return (
    <>
      <label class="filter">
        {operate.service}{' '}
        <select
          value={service.value}
          onChange={(event) =>
            (service.value = operatedNames.find((name) => name === event.currentTarget.value) ?? 'orders')
          }
        >
          {operatedNames.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <ListFrame list={list.value} more={more} reload={reload} empty={<Empty title={operate.noDeadLetters} />}>
        <ul class="letters">
          {list.value.items.map((letter) => (
            <li key={letter.id} class="panel">
              <h3>{letter.subject}</h3>
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
    </>
  )
}
