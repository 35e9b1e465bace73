import type { Cart, Order } from '@saas/contracts'
import type { WantedLine } from './commands.ts'

/** A product as the model knows it. */
export interface ModelProduct {
  readonly id: string
  /** What came in less what managers took out. */
  supplied: number
  /** Every price it had: orders may hear of a change a little later. */
  readonly prices: Set<number>
}

interface ModelOrder {
  readonly lines: readonly WantedLine[]
  readonly order: Order
  isCancelled: boolean
  /** Somebody was told that it was rejected. */
  isRejected: boolean
}

/** One client: a cart, keys, and what they made. Only the client itself changes it, so its own steps are one after another. */
export class ModelClient {
  readonly cart = new Map<number, number>()
  readonly keys = new Map<string, { readonly fingerprint: string; readonly orderId: string }>()
  readonly orders = new Map<string, ModelOrder>()

  /** @returns What the order's answer says wrong. */
  remember(order: Order, lines: readonly WantedLine[], products: readonly ModelProduct[]): string[] {
    const known = this.orders.get(order.id)
    if (known !== undefined) {
      const { lines: before, total } = known.order
      const isSame = JSON.stringify([before, total]) === JSON.stringify([order.lines, order.total])
      return isSame
        ? []
        : [`Order ${order.id} was first ${JSON.stringify(before)} and then ${JSON.stringify(order.lines)}`]
    }
    this.orders.set(order.id, { lines, order, isCancelled: false, isRejected: false })
    const problems: string[] = []
    const wanted = lines.map(({ product, quantity }) => `${products[product]?.id} ${quantity}`)
    const got = order.lines.map(({ productId, quantity }) => `${productId} ${quantity}`)
    if (JSON.stringify(wanted) !== JSON.stringify(got))
      problems.push(`Asked for ${wanted.join()} and got ${got.join()}`)
    const total = order.lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice.amount, 0)
    if (total !== order.total.amount)
      problems.push(`The total of ${order.id} is ${order.total.amount} and not ${total}`)
    for (const { productId, unitPrice } of order.lines) {
      const prices = products.find(({ id }) => id === productId)?.prices
      if (prices?.has(unitPrice.amount) !== true) problems.push(`${productId} never cost ${unitPrice.amount}`)
    }
    return problems
  }

  /** @returns What the cart says wrong. */
  compareCart(cart: Cart, products: readonly ModelProduct[]): string[] {
    const wanted = [...this.cart].map(([product, quantity]) => `${products[product]?.id} ${quantity}`)
    const got = cart.items.map(({ productId, quantity }) => `${productId} ${quantity}`)
    return JSON.stringify(wanted) === JSON.stringify(got) ? [] : [`The cart is ${got.join()} and not ${wanted.join()}`]
  }
}

/** What is still available of each product, when every order is decided as `statusOf` says. */
export function expectedStock(
  products: readonly ModelProduct[],
  clients: readonly ModelClient[],
  statusOf: ReadonlyMap<string, Order['status']>,
): number[] {
  return products.map(({ supplied }, product) => {
    const sold = clients.flatMap(({ orders }) =>
      [...orders].flatMap(([id, { lines }]) =>
        statusOf.get(id) === 'confirmed'
          ? lines.filter((line) => line.product === product).map(({ quantity }) => quantity)
          : [],
      ),
    )
    return supplied - sold.reduce((sum, quantity) => sum + quantity, 0)
  })
}
