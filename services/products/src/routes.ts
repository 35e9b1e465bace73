import type { productsRoutes } from '@saas/contracts'
import {
  isNotModified,
  parseIdempotencyKey,
  parseIfMatch,
  requireIfMatch,
  type Answer,
  type Call,
  type Handlers,
} from '@saas/http'
import type { Database } from '@saas/state'
import { pictureHeaders } from '@saas/pictures'
import { Readable } from 'node:stream'
import type { Facets } from './facets.ts'
import { exportProducts } from './product-export.ts'
import type { ProductHistory } from './product-history.ts'
import type { ProductImport } from './product-import.ts'
import type { Pictures } from './pictures.ts'
import type { ProductList } from './product-list.ts'
import type { TaggedProduct } from './product-row.ts'
import type { Author, Products } from './products.ts'
import type { Stock } from './stock.ts'

type ReadRoute = typeof productsRoutes.getProduct

export interface Catalogue {
  readonly products: Products
  readonly stock: Stock
  readonly list: ProductList
  readonly facets: Facets
  readonly imports: ProductImport
  readonly history: ProductHistory
  readonly pictures: Pictures
  readonly database: Database
}

export function productsHandlers({
  products,
  stock,
  list,
  facets,
  imports,
  history,
  pictures,
  database,
}: Catalogue): Handlers<typeof productsRoutes> {
  return {
    listProducts: async ({ query, headers }) => {
      const { items, next, etag } = await list.listProducts(query)
      if (isNotModified(headers['if-none-match'], etag)) return { status: 304, headers: { etag } }
      return { status: 200, body: { items, next }, headers: { etag } }
    },
    countFacets: async ({ query }) => ({ status: 200, body: await facets.count(query) }),
    importProducts: async (call) => {
      const format = call.request.headers['content-type']?.startsWith('text/csv') === true ? 'csv' : 'ndjson'
      const progress = (lines: number) => call.log.info({ lines }, 'products are being imported')
      const options = { format, author: authorOf(call), signal: call.signal, progress } as const
      return { status: 200, body: await imports.run(call.body, options) }
    },
    exportProducts: ({ query: { format = 'ndjson' }, reply }) => {
      reply.header('content-type', format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson')
      reply.header('content-disposition', `attachment; filename="products.${format}"`)
      reply.send(Readable.from(exportProducts(database, format)))
      return 'sent'
    },
    getProduct: async ({ params, headers }) => unlessKnown(headers, await products.getProduct(params.id)),
    createProduct: async (call) => {
      const { product, etag } = await products.createProduct(call.body, authorOf(call))
      return { status: 201, body: product, headers: { etag, location: `/product/${product.id}` } }
    },
    replaceProduct: async (call) => {
      const versions = requireIfMatch(call.headers['if-match'])
      return found(await products.replaceProduct(call.params.id, versions, call.body, authorOf(call)))
    },
    deleteProduct: async (call) => {
      await products.deleteProduct(call.params.id, requireIfMatch(call.headers['if-match']), authorOf(call))
      return { status: 204 }
    },
    putPicture: async (call) => found(await pictures.put(placeOf(call), call.body, authorOf(call))),
    deletePicture: async (call) => found(await pictures.remove(placeOf(call), authorOf(call))),
    getPicture: async ({ params, reply }) => {
      const { stream, size } = await pictures.get(params.key)
      void reply.headers({ ...pictureHeaders, 'content-length': String(size) }).send(stream)
      return 'sent' as const
    },
    readHistory: async ({ params, query }) => ({ status: 200, body: await history.read(params.id, query) }),
    changeStock: async (call) => {
      const key = parseIdempotencyKey(call.headers['idempotency-key'])
      const change = { ...call.body, key, ifMatch: parseIfMatch(call.headers['if-match']) }
      const { replayed, ...product } = await stock.change(call.params.id, change, authorOf(call))
      const answer = found(product)
      return replayed ? { ...answer, headers: { ...answer.headers, 'idempotency-replayed': 'true' } } : answer
    },
  }
}

type PictureCall = Pick<Call<typeof productsRoutes.deletePicture>, 'params' | 'headers'>

/** Pictures and stock are changed whatever else was, unless the caller says otherwise. */
function placeOf({ params, headers }: PictureCall) {
  return { ...params, ifMatch: parseIfMatch(headers['if-match']) }
}

function authorOf({ identity, traceParent }: { identity: { userId: string }; traceParent: string }): Author {
  return { userId: identity.userId, traceParent }
}

function found({ product, etag }: TaggedProduct) {
  return { status: 200, body: product, headers: { etag } } as const
}

function unlessKnown(headers: Call<ReadRoute>['headers'], product: TaggedProduct): Answer<ReadRoute> {
  const isKnown = isNotModified(headers['if-none-match'], product.etag)
  return isKnown ? { status: 304, headers: { etag: product.etag } } : found(product)
}
