import { useSignal } from '@preact/signals'
import { auditActions, authRoutes, type AuditAction, type AuditEntry, type Role } from '@saas/contracts'
import { call } from '../client.ts'
import { Empty, ListFrame } from '../components/states.tsx'
import { Cell, Row, Table } from '../components/table.tsx'
import { dateTime } from '../formats.ts'
import { texts } from '../language.ts'
import { useList } from '../loaded.ts'

const PAGE_ITEMS = 50

interface Filter {
  readonly action: AuditAction | undefined
  /** Everything about one account. */
  readonly about: { readonly id: string; readonly name: string } | undefined
}

export function AuditLog() {
  const { audit, operate } = texts.value
  const filter = useSignal<Filter>({ action: undefined, about: undefined })
  const { action, about } = filter.value
  const { list, more, reload } = useList<AuditEntry>(
    async (cursor, signal) => {
      const query = { limit: PAGE_ITEMS, cursor, action, accountId: about?.id }
      return (await call(authRoutes.listAudit, { query, signal })).body
    },
    [action, about?.id],
  )
  const choose = (name: string): void => {
    filter.value = { ...filter.value, action: auditActions.find((known) => known === name) }
  }
  return (
    <>
      <div class="form-actions">
        <label class="filter">
          {audit.action}{' '}
          <select value={action ?? ''} onChange={(event) => choose(event.currentTarget.value)}>
            <option value="">{operate.all}</option>
            {auditActions.map((name) => (
              <option key={name} value={name}>
                {audit.actions[name]}
              </option>
            ))}
          </select>
        </label>
        {about !== undefined && (
          <button
            type="button"
            class="button quiet small"
            onClick={() => (filter.value = { ...filter.value, about: undefined })}
          >
            {audit.notOnly(about.name)}
          </button>
        )}
      </div>
      <ListFrame list={list.value} more={more} reload={reload} empty={<Empty title={audit.none} />}>
        <Table heads={[operate.when, audit.action, audit.concerns, audit.by, audit.from]}>
          {list.value.items.map((entry) => (
            <Entry
              key={entry.id}
              entry={entry}
              choose={(chosen) => (filter.value = { ...filter.value, about: chosen })}
            />
          ))}
        </Table>
      </ListFrame>
    </>
  )
}

function Entry({ entry, choose }: { entry: AuditEntry; choose: (about: Filter['about']) => void }) {
  const { audit } = texts.value
  const { accountId, account, byId, by, detail } = entry
  const name = account ?? audit.gone
  return (
    <Row head={dateTime(entry.at)}>
      <Cell>
        {audit.actions[entry.action]}
        {changeOf(detail) !== undefined && <p class="hint">{changeOf(detail)}</p>}
      </Cell>
      <Cell>
        {accountId === null ? (
          audit.nobody
        ) : (
          <button type="button" class="plain" onClick={() => choose({ id: accountId, name })}>
            {name}
          </button>
        )}
      </Cell>
      <Cell>
        <span class="phone-label">{audit.by}: </span>
        {byId === null ? '–' : byId === accountId ? audit.themselves : (by ?? audit.gone)}
      </Cell>
      <Cell>
        <span class="phone-label">{audit.from}: </span>
        {entry.network ?? '–'}
        {entry.device !== null && <p class="hint">{entry.device}</p>}
      </Cell>
    </Row>
  )
}

/** What changed into what, or which way to sign in it was. */
function changeOf(detail: AuditEntry['detail']): string | undefined {
  const { before, after, factor, label } = detail
  if (Array.isArray(before) && Array.isArray(after)) return `${rolesIn(before)} → ${rolesIn(after)}`
  const words = [factor, label].filter((word) => typeof word === 'string')
  return words.length === 0 ? undefined : words.join(': ')
}

function rolesIn(names: readonly unknown[]): string {
  const { roleNames } = texts.value.operate
  return names.map((name) => roleNames[name as Role] ?? String(name)).join(', ')
}
