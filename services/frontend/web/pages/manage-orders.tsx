import { orderStates, ordersRoutes, shortId, type Order } from '@saas/contracts'
import { call } from '../client.ts'
import { entry } from '../components/form.tsx'
import { StatusBadge } from '../components/order-status.tsx'
import { Page, SignedInOnly } from '../components/page.tsx'
import { Empty, ListFrame } from '../components/states.tsx'
import { Cell, Row, Table } from '../components/table.tsx'
import { dateTime, money } from '../formats.ts'
import { texts } from '../language.ts'
import { useList } from '../loaded.ts'
import { go, linkTo, place } from '../router.ts'

const PAGE_ITEMS = 50
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export function ManageOrdersPage() {
  return (
    <SignedInOnly permission="orders:read">
      <Orders />
    </SignedInOnly>
  )
}

/** The first moment of a day where the reader is. */
function startOf(day: string | null, daysLater = 0): string | undefined {
  const date = day === null ? undefined : new Date(`${day}T00:00`)
  if (date === undefined || Number.isNaN(date.getTime())) return undefined
  date.setDate(date.getDate() + daysLater)
  return date.toISOString()
}

function Orders() {
  const { office } = texts.value
  const { query, path } = place.value
  const status = orderStates.find((known) => known === query.get('status'))
  const customer = ID.test(query.get('customer') ?? '') ? (query.get('customer') ?? undefined) : undefined
  const [from, to] = [startOf(query.get('from')), startOf(query.get('to'), 1)]
  const isNever = from !== undefined && to !== undefined && from >= to
  const isNobody = (query.get('customer') ?? '') !== '' && customer === undefined
  const { list, isEmpty, more, reload } = useList<Order>(
    async (cursor, signal) => {
      if (isNever || isNobody) return { items: [], next: null }
      const filters = { status, customer, from, to }
      return (await call(ordersRoutes.listAllOrders, { query: { ...filters, limit: PAGE_ITEMS, cursor }, signal })).body
    },
    [path],
    { main: true },
  )
  const isBare = query.size === 0 && isEmpty
  const empty = isBare ? (
    <Empty title={office.noneYet} hint={office.noneYetHint} />
  ) : isNobody ? (
    <Empty title={office.noCustomer} hint={office.noCustomerHint} />
  ) : (
    <Empty title={isNever ? office.endsBeforeItBegins : office.noOrders} />
  )
  return (
    <Page title={office.orders} kind="office">
      {!isBare && <Filters isNobody={isNobody} />}
      <ListFrame list={list.value} more={more} reload={reload} empty={empty}>
        <Table heads={[office.placed, office.customer, office.articles, office.total, office.status]}>
          {list.value.items.map(({ id, customerId = '', createdAt, lines, total, status: state }) => (
            <Row key={id} head={<a href={linkTo('manageOrder', { id })}>{dateTime(createdAt)}</a>}>
              <Cell>
                <span class="phone-label">{office.customer}: </span>
                <a href={linkTo('manageOrders', {}, { customer: customerId })} title={customerId}>
                  {shortId(customerId)}
                </a>
              </Cell>
              <Cell>
                <bdi>{lines[0]?.name}</bdi>
                {lines.length > 1 && ` + ${lines.length - 1}`}
              </Cell>
              <Cell kind="numeric">{money(total)}</Cell>
              <Cell>
                <StatusBadge status={state} />
              </Cell>
            </Row>
          ))}
        </Table>
      </ListFrame>
    </Page>
  )
}

/** What is asked for stands in the URL, so that back, reload and a sent link show the same. */
function Filters({ isNobody }: { isNobody: boolean }) {
  const { office, order } = texts.value
  const { query } = place.value
  const show = (form: HTMLFormElement): void => {
    const entries = new FormData(form)
    const chosen = Object.fromEntries(['status', 'from', 'to', 'customer'].map((name) => [name, entry(entries, name)]))
    go(linkTo('manageOrders', {}, chosen), { replace: true })
  }
  return (
    <search>
      <form
        class="filter-row"
        onSubmit={(event) => {
          event.preventDefault()
          show(event.currentTarget)
        }}
        onChange={(event) => show(event.currentTarget)}
      >
        <label>
          {office.status}
          <select name="status" value={query.get('status') ?? ''}>
            <option value="">{office.any}</option>
            {orderStates.map((state) => (
              <option key={state} value={state}>
                {order.statuses[state]}
              </option>
            ))}
          </select>
        </label>
        <label>
          {office.from}
          <input type="date" name="from" value={query.get('from') ?? ''} />
        </label>
        <label>
          {office.to}
          <input type="date" name="to" value={query.get('to') ?? ''} />
        </label>
        <label>
          {office.customer}
          <input
            type="text"
            name="customer"
            value={query.get('customer') ?? ''}
            maxLength={36}
            placeholder={office.customerHint}
            aria-invalid={isNobody}
          />
        </label>
        {query.size > 0 && (
          <a class="button quiet small" href={linkTo('manageOrders')}>
            {office.showAll}
          </a>
        )}
      </form>
    </search>
  )
}
