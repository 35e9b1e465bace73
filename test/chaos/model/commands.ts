import * as fc from 'fast-check'

export const CLIENTS = 4
export const PRODUCTS = 3
const KEYS = 6
const QUANTITY_MAX = 4

/** A line of an order, by the number of its product. */
export interface WantedLine {
  readonly product: number
  readonly quantity: number
}

/** What a client, a manager or misfortune does next. Numbers choose among what there is by then. */
export type Command =
  | {
      readonly kind: 'place'
      readonly client: number
      readonly key: number
      readonly lines: readonly WantedLine[]
      readonly clicks: number
    }
  | { readonly kind: 'put'; readonly client: number; readonly product: number; readonly quantity: number }
  | { readonly kind: 'remove'; readonly client: number; readonly product: number }
  | { readonly kind: 'order-cart'; readonly client: number; readonly tabs: number }
  | { readonly kind: 'cancel'; readonly client: number; readonly order: number }
  | { readonly kind: 'read'; readonly client: number }
  | { readonly kind: 'stock'; readonly product: number; readonly delta: number }
  | { readonly kind: 'price'; readonly product: number; readonly amount: number }
  | { readonly kind: 'again'; readonly count: number }
  | { readonly kind: 'lose'; readonly service: 'orders' | 'products'; readonly wire: 'Postgres' | 'NATS' }
  | { readonly kind: 'restart'; readonly service: 'orders' | 'products' }
  | { readonly kind: 'settle' }

const client = fc.nat(CLIENTS - 1)
const product = fc.nat(PRODUCTS - 1)
const quantity = fc.integer({ min: 1, max: QUANTITY_MAX })
const service = fc.constantFrom('orders' as const, 'products' as const)
const lines = fc.uniqueArray(fc.record({ product, quantity }), {
  minLength: 1,
  maxLength: PRODUCTS,
  selector: (line) => line.product,
})

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('place' as const),
      client,
      key: fc.nat(KEYS - 1),
      lines,
      clicks: fc.integer({ min: 1, max: 2 }),
    }),
  },
  { weight: 16, arbitrary: fc.record({ kind: fc.constant('put' as const), client, product, quantity }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), client, product }) },
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant('order-cart' as const), client, tabs: fc.integer({ min: 1, max: 2 }) }),
  },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('cancel' as const), client, order: fc.nat(20) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('read' as const), client }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('stock' as const), product, delta: fc.integer({ min: -3, max: 6 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('price' as const), product, amount: fc.integer({ min: 1, max: 900 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('again' as const), count: fc.integer({ min: 1, max: 10 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('lose' as const),
      service,
      wire: fc.constantFrom('Postgres' as const, 'NATS' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), service }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('settle' as const) }) },
)

/** A run: at least this many commands. */
export function commandsOf(lengthMin: number): fc.Arbitrary<Command[]> {
  return fc.array(command, { minLength: lengthMin, maxLength: lengthMin + 20, size: 'max' })
}
