import { authRoutes, type Session } from '@saas/contracts'
import { call } from '../client.ts'
import { ListFrame } from '../components/states.tsx'
import { dateTime } from '../formats.ts'
import { texts } from '../language.ts'
import { useList } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'
import { signOut } from '../session.ts'

export function SessionsSection() {
  const { account } = texts.value
  const { list, more, reload } = useList<Session>(
    async (_cursor, signal) => (await call(authRoutes.listSessions, { signal })).body,
    [],
  )
  const act = async (work: () => Promise<unknown>, done: string): Promise<void> => {
    try {
      await work()
      say(done)
      reload()
    } catch (error) {
      sayTrouble(error)
    }
  }
  const end = async (id: string): Promise<void> =>
    await act(async () => await call(authRoutes.revokeSession, { params: { id } }), account.ended)
  const endOthers = async (): Promise<void> =>
    await act(async () => await call(authRoutes.revokeOtherSessions, {}), account.othersEnded)
  const logOutEverywhere = async (): Promise<void> => {
    try {
      await call(authRoutes.revokeOtherSessions, {})
      await signOut()
    } catch (error) {
      sayTrouble(error)
    }
  }
  return (
    <section class="panel" aria-labelledby="sessions">
      <h2 id="sessions">{account.sessions}</h2>
      <ListFrame list={list.value} more={more} reload={reload} empty={null}>
        <ul class="sessions">
          {list.value.items.map(({ id, device, address, lastSeenAt, current }) => (
            <li key={id}>
              <div>
                <p class="strong">{device}</p>
                <p class="hint">
                  {address} · {account.lastSeen(dateTime(lastSeenAt))}
                </p>
              </div>
              {current ? (
                <span class="badge confirmed">{account.thisDevice}</span>
              ) : (
                <button
                  type="button"
                  class="button quiet small"
                  aria-label={account.endSession(device)}
                  onClick={() => void end(id)}
                >
                  {account.end}
                </button>
              )}
            </li>
          ))}
        </ul>
      </ListFrame>
      <div class="form-actions">
        {list.value.items.length > 1 && (
          <button type="button" class="button quiet" onClick={() => void endOthers()}>
            {account.endOthers}
          </button>
        )}
        <button type="button" class="button quiet" onClick={() => void logOutEverywhere()}>
          {account.logOutEverywhere}
        </button>
      </div>
    </section>
  )
}
