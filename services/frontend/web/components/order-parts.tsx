import type { Order } from '@saas/contracts'
import { dateTime, money } from '../formats.ts'
import { texts } from '../language.ts'
import { useProducts } from '../loaded-products.ts'
import { linkTo } from '../router.ts'
import { ProductPicture } from './product-picture.tsx'

/** How far an order is. */
export function OrderProgress({ order }: { order: Order }) {
  const { steps, statuses } = texts.value.order
  const isDecided = order.status !== 'pending'
  const items = [
    { label: steps.placed, at: order.createdAt, state: 'done' },
    { label: steps.reserving, at: undefined, state: isDecided ? 'done' : 'now' },
    {
      label: isDecided ? statuses[order.status] : steps.decided,
      at: order.decidedAt,
      state: isDecided ? `done ${order.status}` : 'open',
    },
  ]
  return (
    <ol class="steps">
      {items.map(({ label, at, state }) => (
        <li key={label} class={state} aria-current={state === 'now' ? 'step' : undefined}>
          <span>{label}</span>
          {at !== undefined && <time dateTime={at}>{dateTime(at)}</time>}
        </li>
      ))}
    </ol>
  )
}

/** What was ordered, at the prices it was ordered at, with the pictures that products have now. */
export function OrderLines({ order }: { order: Order }) {
  const known = useProducts(order.lines.map(({ productId }) => productId))
  return (
    <>
      <ul class="lines">
        {order.lines.map(({ productId, name, quantity, unitPrice, sku }) => (
          <li class="line" key={productId}>
            <div class="line-picture">
              <ProductPicture product={{ id: productId, pictures: known.get(productId)?.pictures }} width="84px" />
            </div>
            <div class="line-words">
              <h3>
                <a href={linkTo('product', { id: productId })}>
                  <bdi>{name}</bdi>
                </a>
              </h3>
              <p class="hint">
                {sku} · {quantity} × {money(unitPrice)}
              </p>
            </div>
            <p class="line-total price">
              {money({ amount: unitPrice.amount * quantity, currency: unitPrice.currency })}
            </p>
          </li>
        ))}
      </ul>
      <p class="total">
        <span>{texts.value.basket.total}</span>
        <strong class="price">{money(order.total)}</strong>
      </p>
    </>
  )
}
