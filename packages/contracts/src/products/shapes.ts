import type { Static } from 'typebox'
import { Type } from '../schema.ts'
import { Id, Money, Page, STOCK_MAX, Strict, Time } from '../shapes.ts'

const Sku = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$',
  description: 'Letters, digits, `.`, `-` and `_`, the first a letter or a digit',
})
/** Beyond these bounds a number in JSON becomes another one when it is read: a serial number of 17 digits is a text. */
const AttributeNumber = Type.Number({ minimum: -Number.MAX_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER })
const Attribute = Type.Union([Type.String({ maxLength: 500 }), AttributeNumber, Type.Boolean()])
export const Category = Type.String({ minLength: 1, maxLength: 100 })
export const Tag = Type.String({ minLength: 1, maxLength: 50 })

/**
 * Of letters and digits of any script, with the marks that belong to them. A letter comes first: names of digits only would lose their order,
 * because objects have those first. Holds for names in the form that is kept, NFC. Expects the flag `u`, as JSON Schema does.
 */
export const attributeNamePattern = '^\\p{L}[\\p{L}\\p{M}\\p{N} _-]{0,49}$'

const description = {
  sku: Sku,
  name: Type.String({ minLength: 1, maxLength: 200 }),
  description: Type.String({ maxLength: 10_000 }),
  price: Money,
  category: Type.Union([Category, Type.Null()]),
  tags: Type.Array(Tag, { maxItems: 20, uniqueItems: true }),
  attributes: Type.Record(Type.String({ pattern: attributeNamePattern }), Attribute, {
    maxProperties: 50,
    additionalProperties: false,
  }),
}
const Stock = Type.Integer({ minimum: 0, maximum: STOCK_MAX })
const LowStockThreshold = Type.Union([Stock, Type.Null()], {
  description: 'Managers are notified when the stock falls to this or below; null: nobody is',
})

/** The longest edge of each size, in pixels; a picture is never enlarged. */
export const pictureSizes = { small: 160, medium: 480, large: 1200 } as const
export const PICTURES_MAX = 8
export const PICTURE_BYTES_MAX = 8_000_000

/** One picture of a product. Its place `n` is its order; places may be empty. */
export const Picture = Type.Object({
  n: Type.Integer({ minimum: 1, maximum: PICTURES_MAX }),
  small: Type.String(),
  medium: Type.String(),
  large: Type.String(),
  width: Type.Integer({ minimum: 1, description: 'Of the large size, in pixels' }),
  height: Type.Integer({ minimum: 1 }),
})
export type Picture = Static<typeof Picture>

export const Product = Type.Object({
  id: Id,
  ...description,
  // Under any name: what writes answers compiles patterns without the flag, and would leave all attributes out.
  attributes: Type.Record(Type.String(), Attribute),
  stock: Stock,
  lowStockThreshold: LowStockThreshold,
  pictures: Type.Array(Picture, { maxItems: PICTURES_MAX }),
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
  lowStockThreshold: Type.Optional(LowStockThreshold),
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
  lowStockThreshold: Type.Optional(LowStockThreshold),
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
  lines: Type.Integer({ minimum: 0, description: 'Non-empty lines, not counting a header' }),
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
  lowStockThreshold: Type.Optional(LowStockThreshold),
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
    description: 'Most products first; counted as if no category were selected',
  }),
  moreCategories: Type.Boolean({ description: 'True when there may be categories that are not listed' }),
  tags: Type.Array(Facet, {
    maxItems: FACETS_MAX,
    description: 'Most products first; counted as if no tag were selected',
  }),
  moreTags: Type.Boolean({ description: 'True when there may be tags that are not listed' }),
})
export type ProductFacets = Static<typeof ProductFacets>

const stockMovements = ['initial', 'change', 'reservation', 'release'] as const
export type StockMovement = (typeof stockMovements)[number]

/** Who did it, when, and by which route or message. An order's movements have no user. */
const entry = { at: Time, changedBy: Type.Union([Id, Type.Null()]), source: Type.String() }

/** The ledgers of a product's price and stock, newest first. */
export const ProductChanges = Page(
  Type.Union([
    Type.Object({
      ...entry,
      kind: Type.Literal('stock'),
      movement: Type.Enum(stockMovements),
      delta: Type.Integer(),
      stock: Stock,
      orderId: Type.Union([Id, Type.Null()]),
      reason: Type.Union([Type.String(), Type.Null()]),
    }),
    Type.Object({ ...entry, kind: Type.Literal('price'), price: Money }),
  ]),
)
export type ProductChanges = Static<typeof ProductChanges>

export const productSorts = ['newest', 'name', 'price', '-price', 'relevance'] as const
export const IDS_MAX = 100
