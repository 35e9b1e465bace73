import { Type } from '../schema.ts'
import { event } from '../event.ts'
import { Id, LINES_MAX, Money, QUANTITY_MAX, STOCK_MAX, Time } from '../shapes.ts'

const productId = '01977c1e-6a00-7000-8000-000000000010'
const orderId = '01977c1e-6a00-7000-8000-000000000020'

/** A product as others must know it. `priceVersion` rises with each change of price and never otherwise. */
const ProductState = Type.Object({
  productId: Id,
  sku: Type.String(),
  name: Type.String(),
  price: Money,
  priceVersion: Type.Integer({ minimum: 1 }),
  category: Type.Union([Type.String(), Type.Null()]),
  deleted: Type.Boolean(),
})
const productState = {
  productId,
  sku: 'TEA-1',
  name: 'Green tea',
  price: { amount: 490, currency: 'EUR' },
  priceVersion: 1,
  category: 'Tea',
  deleted: false,
}
const Stock = Type.Integer({ minimum: 0, maximum: STOCK_MAX })
const ReservedLine = Type.Object({ productId: Id, quantity: Type.Integer({ minimum: 1, maximum: QUANTITY_MAX }) })

export const refusalReasons = ['out-of-stock', 'price-changed', 'product-gone'] as const

export const productsEvents = {
  productCreated: event({
    subject: 'msg.products.product.created',
    aggregate: 'product',
    summary: 'A product was added to the catalogue',
    data: ProductState,
    example: productState,
  }),
  productChanged: event({
    subject: 'msg.products.product.changed',
    aggregate: 'product',
    summary: 'A product’s data changed',
    data: ProductState,
    example: { ...productState, priceVersion: 2, price: { amount: 450, currency: 'EUR' } },
  }),
  productDeleted: event({
    subject: 'msg.products.product.deleted',
    aggregate: 'product',
    summary: 'A product was removed from the catalogue',
    data: ProductState,
    example: { ...productState, deleted: true },
  }),
  stockReserved: event({
    subject: 'msg.products.stock.reserved',
    aggregate: 'reservation',
    summary: 'All lines of an order are reserved',
    data: Type.Object({ orderId: Id, lines: Type.Array(ReservedLine, { maxItems: LINES_MAX }) }),
    example: { orderId, lines: [{ productId, quantity: 2 }] },
  }),
  stockRefused: event({
    subject: 'msg.products.stock.refused',
    aggregate: 'reservation',
    summary: 'An order cannot be filled; nothing was reserved',
    data: Type.Object({
      orderId: Id,
      reason: Type.Enum(refusalReasons),
      productIds: Type.Array(Id, { maxItems: LINES_MAX }),
    }),
    example: { orderId, reason: 'out-of-stock' as const, productIds: [productId] },
  }),
  stockReleased: event({
    subject: 'msg.products.stock.released',
    aggregate: 'reservation',
    summary: 'What was reserved for an order is for sale again',
    data: Type.Object({ orderId: Id }),
    example: { orderId },
  }),
  stockRanLow: event({
    subject: 'msg.products.stock.ran-low',
    aggregate: 'stock-level',
    summary: 'A product’s stock fell to its threshold or below; sent again only after it has been above it',
    data: Type.Object({
      productId: Id,
      sku: Type.String(),
      name: Type.String(),
      available: Stock,
      threshold: Stock,
      crossedAt: Time,
    }),
    example: {
      productId,
      sku: 'TEA-1',
      name: 'Green tea',
      available: 4,
      threshold: 5,
      crossedAt: '2026-01-01T12:00:00.000Z',
    },
  }),
}
