import { sql, type Database } from '@saas/state'
import { csvHeader, formatProduct, type Format } from './product-lines.ts'
import { productColumns, toProduct, type ProductRow } from './product-row.ts'

const PAGE_PRODUCTS = 500
const FIRST_ID = '00000000-0000-0000-0000-000000000000'

const readPage = sql<ProductRow>(
  'products.export_page',
  `select ${productColumns}
   from product
   where deleted_at is null
     and id > $1
   order by id
   limit ${PAGE_PRODUCTS}`,
)

/** All products, oldest first, as text that import takes; one page is held at a time. */
export async function* exportProducts(database: Database, format: Format): AsyncGenerator<string> {
  if (format === 'csv') yield csvHeader
  for (let after = FIRST_ID; ;) {
    const rows = await database.read(readPage, [after])
    yield rows.map((row) => lineOf(row, format)).join('')
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE_PRODUCTS) return
    after = last.id
  }
}

function lineOf(row: ProductRow, format: Format): string {
  const { sku, name, description, price, stock, lowStockThreshold, category, tags, attributes } = toProduct(row)
  const product = { sku, name, description, price, stock, lowStockThreshold, category, tags, attributes }
  return formatProduct(product, format)
}
