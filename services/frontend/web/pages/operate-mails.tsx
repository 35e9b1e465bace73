import { mailStates, notificationsRoutes, type Mail } from '@saas/contracts'
import { useSignal } from '@preact/signals'
import { call } from '../client.ts'
import { entry } from '../components/form.tsx'
import { Empty, ListFrame } from '../components/states.tsx'
import { Cell, Row, Table } from '../components/table.tsx'
import { dateTime } from '../formats.ts'
import { texts } from '../language.ts'
import { useList } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'

const PAGE_ITEMS = 50

export function Mails() {
  const { operate } = texts.value
  const status = useSignal<Mail['status'] | undefined>(undefined)
  const email = useSignal<string | undefined>(undefined)
  const { list, more, reload, change } = useList<Mail>(
    async (cursor, signal) => {
      const query = { limit: PAGE_ITEMS, cursor, status: status.value, email: email.value }
      return (await call(notificationsRoutes.listMails, { query, signal })).body
    },
    [status.value, email.value],
  )
  const search = (event: SubmitEvent): void => {
    event.preventDefault()
    const typed = entry(new FormData(event.currentTarget as HTMLFormElement), 'email')
    email.value = typed === '' ? undefined : typed
  }
  const resend = async (id: string): Promise<void> => {
    try {
      const { body } = await call(notificationsRoutes.resendMail, { params: { id } })
      change((mail) => (mail.id === id ? body : mail))
      say(operate.mailResent)
    } catch (error) {
      sayTrouble(error)
    }
  }
  return (
    <>
      <search>
        <form class="form-row" onSubmit={search}>
          <input
            type="search"
            name="email"
            maxLength={254}
            aria-label={operate.searchMails}
            placeholder={operate.searchMails}
          />
        </form>
      </search>
      <label class="filter">
        {operate.status}{' '}
        <select onChange={(event) => (status.value = mailStates.find((known) => known === event.currentTarget.value))}>
          <option value="">{operate.all}</option>
          {mailStates.map((known) => (
            <option key={known} value={known}>
              {operate.mailStatuses[known]}
            </option>
          ))}
        </select>
      </label>
      <ListFrame list={list.value} more={more} reload={reload} empty={<Empty title={operate.noMails} />}>
        <Table heads={[operate.kind, operate.to, operate.when, operate.status, operate.attempts, operate.action]}>
          {list.value.items.map((mail) => (
            <Row key={mail.id} head={operate.mailKinds[mail.kind]}>
              <Cell>{mail.email ?? '—'}</Cell>
              <Cell kind="when">{dateTime(mail.createdAt)}</Cell>
              <Cell>
                <span class={`badge ${mail.status}`}>{operate.mailStatuses[mail.status]}</span>
                {mail.lastError !== null && mail.status !== 'sent' && <p class="finding">{mail.lastError}</p>}
              </Cell>
              <Cell>
                <span class="phone-label">{operate.attempts}: </span>
                {mail.attempts}
              </Cell>
              <Cell>
                {mail.status === 'dead' && (
                  <button type="button" class="button quiet small" onClick={() => void resend(mail.id)}>
                    {operate.resend}
                    <span class="visually-hidden"> {mail.email}</span>
                  </button>
                )}
              </Cell>
            </Row>
          ))}
        </Table>
      </ListFrame>
    </>
  )
}
