import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { productsRoutes, type ImportReport } from '@saas/contracts'
import type { Benchmark, BenchmarkContext } from './frame/benchmark.ts'
import type { StageService } from './frame/stage.ts'

/** `BENCH_PRODUCTS=100000 pnpm bench import` takes fewer. */
const PRODUCTS = Number(process.env['BENCH_PRODUCTS'] ?? 1_000_000)
const LINES_PER_CHUNK = 500
const SAMPLE_MS = 500
/** By then the heap has the size that it needs for any number of products. */
const WARM_PRODUCTS = Math.min(100_000, PRODUCTS / 4)
/** What the rest may hold more than these did: garbage that waits for its collection. */
const GROWTH_MAX_MEGABYTES = 150
const manager = { userId: '01977c1e-6a00-7000-8000-0000000000aa', roles: ['manager'] as const }

interface Passage {
  readonly perSecond: number
  readonly megabytesEarly: number
  readonly megabytesMax: number
}

/** Memory of the service while a million products come in and go out. */
const transfer: Benchmark = {
  title: `Importing and exporting ${PRODUCTS.toLocaleString('en')} products`,
  run: async (context) => {
    const service = await context.stage.startService('products')
    const imported = await watched(context, service, 'imported', (moved) =>
      importAll(context, service, 'created', moved),
    )
    const again = await watched(context, service, 'imported again', (moved) =>
      importAll(context, service, 'unchanged', moved),
    )
    const exported = await watched(context, service, 'exported', (moved) => exportAll(context, service, moved))
    const passages = { 'import, all new': imported, 'import, nothing new': again, export: exported }
    return {
      measures: Object.entries(passages).flatMap(([name, { perSecond, megabytesMax }]) => [
        { name, unit: 'products/s', values: [perSecond] },
        { name: `${name}, most memory`, unit: 'MB', values: [megabytesMax] },
      ]),
      ratios: Object.entries(passages).map(([name, { megabytesEarly, megabytesMax }]) => ({
        name: `${name}: memory beyond that of its first ${WARM_PRODUCTS.toLocaleString('en')}`,
        value: Math.max(0, megabytesMax - megabytesEarly),
        unit: ' MB',
        aim: GROWTH_MAX_MEGABYTES,
        atMost: true,
      })),
    }
  },
}
export { transfer as import }

/** Moves all products and looks at the service's memory meanwhile. */
async function watched(
  { say }: BenchmarkContext,
  { child }: StageService,
  what: string,
  move: (moved: (products: number) => void) => Promise<void>,
): Promise<Passage> {
  const samples: { readonly moved: number; readonly megabytes: number }[] = []
  let products = 0
  let told = 0
  const sample = (): void => {
    samples.push({ moved: products, megabytes: memoryOf(child.pid ?? 0) })
    if (products < told + PRODUCTS / 10) return
    told = products
    say(`${what}: ${products.toLocaleString('en')}, ${Math.round(samples.at(-1)?.megabytes ?? 0)} MB`)
  }
  const timer = setInterval(sample, SAMPLE_MS)
  const start = performance.now()
  try {
    await move((count) => (products += count))
  } finally {
    clearInterval(timer)
  }
  sample()
  const perSecond = PRODUCTS / ((performance.now() - start) / 1_000)
  const most = (some: typeof samples) => Math.max(0, ...some.map(({ megabytes }) => megabytes))
  const early = samples.filter(({ moved }) => moved <= WARM_PRODUCTS)
  return { perSecond, megabytesEarly: most(early), megabytesMax: most(samples) }
}

async function importAll(
  { stage }: BenchmarkContext,
  { url }: StageService,
  outcome: 'created' | 'unchanged',
  moved: (products: number) => void,
): Promise<void> {
  const { importProducts } = productsRoutes
  const request = {
    method: 'POST',
    headers: { ...stage.signedIn(importProducts, manager), 'content-type': 'application/x-ndjson' },
    body: Readable.toWeb(Readable.from(lines(moved))),
    duplex: 'half',
  }
  // The types of browsers know no body that is sent while it is made.
  const response = await fetch(url + importProducts.path, request as unknown as RequestInit)
  const report = (await response.json()) as ImportReport
  if (report[outcome] !== PRODUCTS) throw new Error(`Not all were ${outcome}: ${JSON.stringify(report).slice(0, 500)}`)
}

/** What is sent; the service takes no more of it than it has saved. */
function* lines(moved: (products: number) => void): Generator<Uint8Array> {
  const encoder = new TextEncoder()
  for (let first = 0; first < PRODUCTS; first += LINES_PER_CHUNK) {
    const count = Math.min(LINES_PER_CHUNK, PRODUCTS - first)
    yield encoder.encode(Array.from({ length: count }, (_, index) => lineOf(first + index)).join(''))
    moved(count)
  }
}

const colours = ['amber', 'blue', 'copper', 'dark', 'emerald', 'forest', 'green', 'honey', 'ivory', 'jade']
const things = ['bowl', 'chair', 'desk', 'kettle', 'lamp', 'mug', 'notebook', 'pan', 'rug', 'vase', 'clock', 'tray']

function lineOf(number: number): string {
  const colour = colours[number % colours.length] ?? ''
  const thing = things[number % things.length] ?? ''
  return `${JSON.stringify({
    sku: `BULK-${number}`,
    name: `${colour} ${thing} ${number}`,
    description: `A ${thing} in ${colour}, made to be kept for a long time and used every day.`,
    price: { amount: 100 + (number % 50_000), currency: 'EUR' },
    stock: number % 500,
    category: thing,
    tags: [colour, 'bulk'],
    attributes: { colour, weight: number % 900 },
  })}\n`
}

async function exportAll(
  { stage }: BenchmarkContext,
  { url }: StageService,
  moved: (products: number) => void,
): Promise<void> {
  const { exportProducts } = productsRoutes
  const headers = stage.signedIn(exportProducts, manager)
  const response = await fetch(`${url}${exportProducts.path}?format=csv`, { headers })
  let read = -1 // The header is no product.
  for await (const chunk of response.body ?? []) {
    const ends = chunk.reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0)
    read += ends
    moved(ends)
  }
  if (read !== PRODUCTS) throw new Error(`${read} products were exported`)
}

/** What of a process is in memory now. */
function memoryOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) / 1_024
}
