import { Type, type Static } from 'typebox'
import { event } from './event.ts'
import * as problems from './problems.ts'
import { route } from './route.ts'
import {
  Id,
  IdParams,
  KeyHeaders,
  LINES_MAX,
  Money,
  Page,
  QUANTITY_MAX,
  STOCK_MAX,
  Strict,
  Time,
  pageQuery,
} from './shapes.ts'

const Sku = Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' })
const Attribute = Type.Union([Type.String({ maxLength: 500 }), Type.Number(), Type.Boolean()])
const Category = Type.String({ minLength: 1, maxLength: 100 })
const Tag = Type.String({ minLength: 1, maxLength: 50 })

const description = {
  sku: Sku,
  name: Type.String({ minLength: 1, maxLength: 200 }),
  description: Type.String({ maxLength: 10_000 }),
  price: Money,
  category: Type.Union([Category, Type.Null()]),
  tags: Type.Array(Tag, { maxItems: 20, uniqueItems: true }),
  attributes: Type.Record(Type.String({ pattern: '^[A-Za-z][A-Za-z0-9 _-]{0,49}$' }), Attribute, {
    maxProperties: 50,
    additionalProperties: false,
  }),
}
const Stock = Type.Integer({ minimum: 0, maximum: STOCK_MAX })

export const Product = Type.Object({
  id: Id,
  ...description,
  stock: Stock,
  version: Type.Integer({ minimum: 1 }),
  createdAt: Time,
  updatedAt: Time,
})
export type Product = Static<typeof Product>

/** What a manager sends to create a product: all that a product is, but what the service makes. */
export const NewProduct = Strict({
  sku: description.sku,
  name: description.name,
  description: Type.Optional(description.description),
  price: Money,
  stock: Stock,
  category: Type.Optional(description.category),
  tags: Type.Optional(description.tags),
  attributes: Type.Optional(description.attributes),
})
export type NewProduct = Static<typeof NewProduct>

/** A line of an import. The stock of a product that is known already is ignored: reservations change it all the time. */
export const ImportedProduct = Strict({
  sku: description.sku,
  name: description.name,
  description: Type.Optional(description.description),
  price: Money,
  stock: Type.Optional(Stock),
  category: Type.Optional(description.category),
  tags: Type.Optional(description.tags),
  attributes: Type.Optional(description.attributes),
})
export type ImportedProduct = Static<typeof ImportedProduct>
export const IMPORT_BYTES_MAX = 2_000_000_000
/** After so many bad lines an import stops: the file as a whole is wrong. */
export const IMPORT_ERRORS_MAX = 10_000

const Count = Type.Integer({ minimum: 0 })
export const ImportReport = Type.Object({
  lines: Type.Integer({ minimum: 0, description: 'Lines with something in them, without a header' }),
  created: Count,
  changed: Count,
  unchanged: Count,
  refused: Count,
  stoppedAt: Type.Union([Type.Integer(), Type.Null()], {
    description: `The line after which nothing more was imported, because ${IMPORT_ERRORS_MAX} were bad`,
  }),
  errors: Type.Array(Type.Object({ line: Type.Integer({ minimum: 1 }), reason: Type.String() })),
})
export type ImportReport = Static<typeof ImportReport>
export const exportFormats = ['ndjson', 'csv'] as const

/** What a manager sends to replace a product. Stock is not part of it: reservations change it all the time. */
export const ProductChange = Strict({
  sku: description.sku,
  name: description.name,
  description: Type.Optional(description.description),
  price: Money,
  category: Type.Optional(description.category),
  tags: Type.Optional(description.tags),
  attributes: Type.Optional(description.attributes),
})
export type ProductChange = Static<typeof ProductChange>

/** How many products have one category or one tag. */
const Facet = Type.Object({
  name: Type.String(),
  count: Type.Integer({ minimum: 1 }),
  more: Type.Boolean({ description: 'True when counting ended at a limit: there may be more than `count`' }),
})
export type Facet = Static<typeof Facet>
export const FACETS_MAX = 50

export const ProductFacets = Type.Object({
  categories: Type.Array(Facet, {
    maxItems: FACETS_MAX,
    description: 'Most products first; counted as if no category were asked for',
  }),
  tags: Type.Array(Facet, {
    maxItems: FACETS_MAX,
    description: 'Most products first; counted as if no tag were asked for',
  }),
})
export type ProductFacets = Static<typeof ProductFacets>

export const productSorts = ['newest', 'name', 'price', '-price', 'relevance'] as const
export const IDS_MAX = 100

const ifMatch = Type.Object({ 'if-match': Type.Optional(Type.String({ maxLength: 200 })) })
const ifNoneMatch = Type.Object({ 'if-none-match': Type.Optional(Type.String({ maxLength: 1000 })) })
const none = { content: 'none' } as const
const filters = {
  q: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: 'Search words; small typing errors are forgiven' }),
  ),
  category: Type.Optional(Category),
  tag: Type.Optional(Tag),
  inStock: Type.Optional(Type.Boolean()),
}

export const productsRoutes = {
  listProducts: route({
    id: 'products.listProducts',
    service: 'products',
    method: 'GET',
    path: '/product',
    access: 'anyone',
    summary: 'Browse and search the catalogue, or read some products by id',
    query: Strict({
      ...pageQuery,
      ids: Type.Optional(
        Type.String({
          maxLength: IDS_MAX * 37,
          description: `Up to ${IDS_MAX} ids, comma-separated; cannot be combined with other filters`,
        }),
      ),
      ...filters,
      sort: Type.Optional(Type.Enum(productSorts)),
    }),
    headers: ifNoneMatch,
    responses: { 200: Page(Product), 304: none },
    edgeCacheSeconds: 1,
  }),
  countFacets: route({
    id: 'products.countFacets',
    service: 'products',
    method: 'GET',
    path: '/product/facets',
    access: 'anyone',
    summary: 'The categories and tags of the products that fit the filters, with how many each',
    query: Strict(filters),
    responses: { 200: ProductFacets },
    edgeCacheSeconds: 1,
  }),
  importProducts: route({
    id: 'products.importProducts',
    service: 'products',
    method: 'POST',
    path: '/product/import',
    access: 'products:write',
    summary: 'Create and replace products by SKU from a file; good lines are kept, bad ones reported',
    upload: { mediaTypes: ['application/x-ndjson', 'text/csv'], bytesMax: IMPORT_BYTES_MAX },
    transfer: true,
    responses: { 200: ImportReport },
  }),
  exportProducts: route({
    id: 'products.exportProducts',
    service: 'products',
    method: 'GET',
    path: '/product/export',
    access: 'products:write',
    summary: 'All products as a file that can be imported again',
    query: Strict({ format: Type.Optional(Type.Enum(exportFormats)) }),
    transfer: true,
    responses: { 200: { content: 'file' } },
  }),
  getProduct: route({
    id: 'products.getProduct',
    service: 'products',
    method: 'GET',
    path: '/product/{id}',
    access: 'user',
    summary: 'One product',
    params: IdParams,
    headers: ifNoneMatch,
    responses: { 200: Product, 304: none },
  }),
  createProduct: route({
    id: 'products.createProduct',
    service: 'products',
    method: 'POST',
    path: '/product',
    access: 'products:write',
    summary: 'Put a product into the catalogue',
    body: NewProduct,
    responses: { 201: Product },
    problems: [problems.skuTaken],
  }),
  replaceProduct: route({
    id: 'products.replaceProduct',
    service: 'products',
    method: 'PUT',
    path: '/product/{id}',
    access: 'products:write',
    summary: 'Replace what a product says; its stock stays',
    params: IdParams,
    headers: ifMatch,
    body: ProductChange,
    responses: { 200: Product },
    problems: [problems.skuTaken, problems.versionChanged, problems.preconditionRequired],
  }),
  deleteProduct: route({
    id: 'products.deleteProduct',
    service: 'products',
    method: 'DELETE',
    path: '/product/{id}',
    access: 'products:write',
    summary: 'Take a product out of the catalogue',
    params: IdParams,
    headers: ifMatch,
    responses: { 204: none },
    problems: [problems.versionChanged, problems.preconditionRequired],
  }),
  changeStock: route({
    id: 'products.changeStock',
    service: 'products',
    method: 'POST',
    path: '/product/{id}/stock',
    access: 'products:write',
    summary: 'Add to or take from the stock, with a reason',
    params: IdParams,
    headers: KeyHeaders,
    body: Strict({
      delta: Type.Integer({ minimum: -STOCK_MAX, maximum: STOCK_MAX }),
      reason: Type.String({ minLength: 1, maxLength: 200 }),
    }),
    responses: { 200: Product },
    problems: [problems.stockTooLow, problems.idempotencyKeyReused],
  }),
}

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
const ReservedLine = Type.Object({ productId: Id, quantity: Type.Integer({ minimum: 1, maximum: QUANTITY_MAX }) })

export const refusalReasons = ['out-of-stock', 'price-changed', 'product-gone'] as const

export const productsEvents = {
  productCreated: event({
    subject: 'msg.products.product.created',
    aggregate: 'product',
    summary: 'A product came into the catalogue',
    data: ProductState,
    example: productState,
  }),
  productChanged: event({
    subject: 'msg.products.product.changed',
    aggregate: 'product',
    summary: 'What a product says changed',
    data: ProductState,
    example: { ...productState, priceVersion: 2, price: { amount: 450, currency: 'EUR' } },
  }),
  productDeleted: event({
    subject: 'msg.products.product.deleted',
    aggregate: 'product',
    summary: 'A product was taken out of the catalogue',
    data: ProductState,
    example: { ...productState, deleted: true },
  }),
  stockReserved: event({
    subject: 'msg.products.stock.reserved',
    aggregate: 'reservation',
    summary: 'All lines of an order are set aside',
    data: Type.Object({ orderId: Id, lines: Type.Array(ReservedLine, { maxItems: LINES_MAX }) }),
    example: { orderId, lines: [{ productId, quantity: 2 }] },
  }),
  stockRefused: event({
    subject: 'msg.products.stock.refused',
    aggregate: 'reservation',
    summary: 'An order cannot be filled; nothing was set aside',
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
    summary: 'What was set aside for an order is for sale again',
    data: Type.Object({ orderId: Id }),
    example: { orderId },
  }),
}
