import { pictureSizes, type Picture, type Product } from '@saas/contracts'
import { etag } from '@saas/http'

/** A picture as the row keeps it. */
export interface StoredPicture {
  readonly n: number
  readonly key: string
  readonly width: number
  readonly height: number
}

/** A row of `product` as every statement returns it. */
export interface ProductRow {
  readonly id: string
  readonly sku: string
  readonly name: string
  readonly description: string
  readonly price_amount: number
  readonly price_currency: string
  readonly category: string | null
  readonly tags: string[]
  readonly attributes: Product['attributes']
  readonly available: number
  readonly low_stock_threshold: number | null
  readonly pictures: readonly StoredPicture[]
  readonly stock_version: number
  readonly version: number
  readonly created_at: Date
  readonly updated_at: Date
}

export const productColumns = `id, sku, name, description, price_amount, price_currency, category, tags, attributes,
  available, low_stock_threshold, pictures, stock_version, version, created_at, updated_at`

/** The contract's event data of a row of `product`, for `insert into outbox … select`. */
export const productStateData = `jsonb_build_object(
    'productId', id,
    'sku', sku,
    'name', name,
    'price', jsonb_build_object('amount', price_amount, 'currency', price_currency),
    'priceVersion', price_version,
    'category', category,
    'deleted', deleted_at is not null
  )`

/** A product with the entity tag that names exactly this state of it. */
export interface TaggedProduct {
  readonly product: Product
  readonly etag: string
}

export function toProduct(row: ProductRow): Product {
  return {
    id: row.id,
    sku: row.sku,
    name: row.name,
    description: row.description,
    price: { amount: row.price_amount, currency: row.price_currency },
    category: row.category,
    tags: row.tags,
    attributes: row.attributes,
    stock: row.available,
    lowStockThreshold: row.low_stock_threshold,
    pictures: row.pictures.map(toPicture),
    version: row.version,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  }
}

function toPicture({ n, key, width, height }: StoredPicture): Picture {
  const path = (size: keyof typeof pictureSizes) => `/picture/${key}-${size}`
  return { n, small: path('small'), medium: path('medium'), large: path('large'), width, height }
}

/** The same columns, of a table that is joined with others. */
export function columnsOf(table: string): string {
  return productColumns.replaceAll(/\w+/g, (column) => `${table}.${column}`)
}

export function tagged(row: ProductRow): TaggedProduct {
  return { product: toProduct(row), etag: etag(`${row.version}.${row.stock_version}`) }
}
