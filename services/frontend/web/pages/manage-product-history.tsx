import { productsRoutes, shortId, type Product, type ProductChanges } from '@saas/contracts'
import { call } from '../client.ts'
import { Empty, ListFrame } from '../components/states.tsx'
import { Cell, Row, Table } from '../components/table.tsx'
import { count, dateTime, money } from '../formats.ts'
import { texts } from '../language.ts'
import { useList } from '../loaded.ts'
import { linkTo } from '../router.ts'

const PAGE_ITEMS = 20

type Change = ProductChanges['items'][number]

/** Who changed price and stock. It is read again whenever the product changed. */
export function HistorySection({ product: { id, version, stock } }: { product: Product }) {
  const { history } = texts.value
  const { list, more, reload } = useList<Change>(
    async (cursor, signal) => {
      const input = { params: { id }, query: { limit: PAGE_ITEMS, cursor }, signal }
      return (await call(productsRoutes.readHistory, input)).body
    },
    [id, version, stock],
  )
  return (
    <section class="panel" aria-labelledby="history">
      <h2 id="history">{history.title}</h2>
      <ListFrame list={list.value} more={more} reload={reload} empty={<Empty title={texts.value.none} />}>
        <Table heads={[history.when, history.what, history.after, history.who]}>
          {list.value.items.map((change, index) => (
            <Row key={index} head={<time dateTime={change.at}>{dateTime(change.at)}</time>}>
              <Cell>{whatOf(change)}</Cell>
              <Cell kind="numeric">
                <span class="phone-label">{history.after}: </span>
                {change.kind === 'price' ? money(change.price) : count(change.stock)}
              </Cell>
              <Cell>
                <span class="phone-label">{history.who}: </span>
                <Who change={change} />
              </Cell>
            </Row>
          ))}
        </Table>
      </ListFrame>
    </section>
  )
}

function whatOf(change: Change): string {
  const { history } = texts.value
  if (change.kind === 'price') return history.price
  const delta = change.delta > 0 ? `+${count(change.delta)}` : count(change.delta)
  return `${history.movements[change.movement]} ${delta}${change.reason === null ? '' : ` · ${change.reason}`}`
}

/** A person and what they did it by, or the order that took or gave back. */
function Who({ change }: { change: Change }) {
  const { history } = texts.value
  if (change.kind === 'stock' && change.orderId !== null) {
    return (
      <a href={linkTo('manageOrder', { id: change.orderId })} title={change.source}>
        {history.order(shortId(change.orderId))}
      </a>
    )
  }
  return (
    <span title={change.changedBy ?? undefined}>
      {shortId(change.changedBy ?? '')} · {history.sources[change.source] ?? change.source}
    </span>
  )
}
