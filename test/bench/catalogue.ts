import { fileURLToPath } from 'node:url'
import { ordersRoutes } from '@saas/contracts'
import {
  interleave,
  median,
  type Benchmark,
  type BenchmarkContext,
  type Measure,
  type Ratio,
} from './frame/benchmark.ts'
import { sendLoad, type MeasuredLoad } from './frame/load.ts'
import { startEdge, startStaticServer } from './shop/edge.ts'
import { fill, KNOWN_USER } from './shop/fill.ts'
import { sellProducts } from './shop/products.ts'
import type { GettingOptions, ReadingOptions } from './shop/requests.ts'

const CONNECTIONS = 128
const PRODUCTS = 100
const SMALL = 1_000
/** A smaller large shop for a quick look. */
const LARGE = Number(process.env['BENCH_LARGE'] ?? 1_000_000)
const REQUESTS = 20_000
const SINGLE_REQUESTS = 400
const SOURCE = new URL('shop/requests.ts', import.meta.url).href
const PLAIN_POOL = fileURLToPath(new URL('shop/plain-pool-main.ts', import.meta.url))

/** What is read one at a time, in a small and in a large shop. `{n}` is another number each time. */
const LISTS = {
  'list, newest': '/product?limit=24',
  'list, by price in a category': '/product?limit=24&category=Category%207&sort=price',
  'list, by name in stock': '/product?limit=24&inStock=true&sort=name',
  'search, one model': '/product?limit=24&q=model{n}',
  'search, two common words': '/product?limit=24&q=silver%20teapot',
  'search, mistyped': '/product?limit=24&q=teapto',
} as const

/** What is measured here is told in docs/benchmarks.md. */
export const catalogue: Benchmark = {
  title: 'Reading the catalogue',
  run: async (context) => {
    const { stage, say } = context
    const products = await stage.startService('products')
    const plain = await stage.startService('products', { name: 'plain pool', program: PLAIN_POOL })
    const productIds = await sellProducts(stage, products, { count: PRODUCTS, stock: 1_000, isOrdersThere: false })
    say('products by id')
    const byId = await measureById(context, { products: products.url, plain: plain.url }, productIds)
    await plain[Symbol.asyncDispose]()
    say('the list through the edge')
    const cached = await measureEdge(context, products.url)
    say('lists in a small and a large shop')
    const orders = await stage.startService('orders')
    const sizes = await measureSizes(context, { products: products.url, orders: orders.url })
    const all = [byId, cached, sizes]
    return { measures: all.flatMap(({ measures }) => measures), ratios: all.flatMap(({ ratios }) => ratios) }
  },
}

interface Part {
  readonly measures: readonly Measure[]
  readonly ratios: readonly Ratio[]
}

async function measureById(
  { stage, seconds, repetitions }: BenchmarkContext,
  urls: { readonly products: string; readonly plain: string },
  productIds: readonly string[],
): Promise<Part> {
  const options: ReadingOptions = { key: stage.signingKey('products'), productIds }
  const read = (url: string) => () =>
    sendLoad(
      {
        url,
        connections: CONNECTIONS,
        requests: REQUESTS,
        seconds,
        source: { module: SOURCE, name: 'reading', options },
      },
      stage.processes,
    )
  const loads = await interleave(repetitions, { shared: read(urls.products), plain: read(urls.plain) })
  const shared = rate(`GET /product/{id}, ${CONNECTIONS} connections`, loads.shared)
  const plain = rate(`GET /product/{id}, ${CONNECTIONS} connections, plain pool`, loads.plain)
  return {
    measures: [shared, plain],
    ratios: [
      { name: 'GET /product/{id} to a plain pool', value: median(shared.values) / median(plain.values), aim: 3 },
    ],
  }
}

async function measureEdge({ stage, seconds, repetitions }: BenchmarkContext, productsUrl: string): Promise<Part> {
  await using edge = await startEdge(stage, 'products', productsUrl)
  const answer = await fetch(`${edge.url}/product`)
  const body = Buffer.from(await answer.arrayBuffer())
  const etag = answer.headers.get('etag') ?? ''
  await using files = await startStaticServer(stage, body)
  const processes = { ...stage.processes, edge: edge.child.pid ?? 0, files: files.child.pid ?? 0 }
  const get = (url: string, headers: Record<string, string> = {}) => {
    const options: GettingOptions = { path: '/product', headers }
    const source = { module: SOURCE, name: 'getting', options }
    return () => sendLoad({ url, connections: CONNECTIONS, requests: 1, seconds, source }, processes)
  }
  const loads = await interleave(repetitions, {
    cached: get(edge.url),
    known: get(edge.url, { 'if-none-match': etag }),
    file: get(files.url),
  })
  for (const load of loads.cached) expectOnly(load, '200')
  for (const load of loads.known) expectOnly(load, '304')
  const cached = rate(`GET /product through the edge's cache, ${body.length} bytes`, loads.cached)
  const known = rate(`GET /product through the edge's cache, 304`, loads.known)
  const file = rate(`nginx, a file of ${body.length} bytes`, loads.file)
  return {
    measures: [cached, known, file],
    ratios: [
      { name: 'GET /product to a file of its size', value: median(cached.values) / median(file.values), aim: 0.7 },
    ],
  }
}

async function measureSizes(
  context: BenchmarkContext,
  urls: { readonly products: string; readonly orders: string },
): Promise<Part> {
  const { stage, say } = context
  await fill(stage, 0, SMALL)
  const small = await measureLists(context, urls, SMALL)
  const startedAtMs = performance.now()
  await fill(stage, SMALL, LARGE)
  say(`${LARGE} products and orders were made in ${Math.round((performance.now() - startedAtMs) / 1_000)} s`)
  const large = await measureLists(context, urls, LARGE)
  const names = Object.keys(small)
  const measure = (name: string, size: number, values: readonly number[] = []): Measure => ({
    name: `${name}, ${size.toLocaleString('en')}`,
    unit: 'ms p50',
    values,
  })
  return {
    measures: names.flatMap((name) => [measure(name, SMALL, small[name]), measure(name, LARGE, large[name])]),
    ratios: names.map((name) => ({
      name: `${name}: ${LARGE.toLocaleString('en')} to ${SMALL.toLocaleString('en')}`,
      value: median(large[name] ?? []) / median(small[name] ?? []),
      aim: 2,
      atMost: true,
    })),
  }
}

/** The p50 of each list, asked for one at a time. */
async function measureLists(
  { stage, repetitions }: BenchmarkContext,
  urls: { readonly products: string; readonly orders: string },
  size: number,
): Promise<Record<string, number[]>> {
  const job = (url: string, options: GettingOptions) => async () => {
    const source = { module: SOURCE, name: 'getting', options }
    const load = await sendLoad({ url, connections: 1, requests: SINGLE_REQUESTS, source }, stage.processes)
    expectOnly(load, '200')
    return load.p50Ms
  }
  const lists = Object.entries(LISTS).map(
    ([name, path]) => [name, job(urls.products, { path, numbers: size })] as const,
  )
  const signed = { key: stage.signingKey('orders'), routeId: ordersRoutes.listOrders.id, userId: KNOWN_USER }
  const history = job(urls.orders, { path: '/order?limit=24', signed })
  return await interleave(repetitions, { ...Object.fromEntries(lists), history })
}

function expectOnly({ statuses, broken }: MeasuredLoad, status: string): void {
  if (Object.keys(statuses).join() !== status || broken > 0) {
    throw new Error(`Answers were ${JSON.stringify(statuses)} and ${broken} broken, not only ${status}`)
  }
}

function rate(name: string, loads: readonly MeasuredLoad[]): Measure {
  return { name, unit: 'requests/s', values: loads.map(({ perSecond }) => perSecond), cores: loads[0]?.cores ?? {} }
}
