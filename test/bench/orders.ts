import { interleave, median, type Benchmark, type BenchmarkContext } from './frame/benchmark.ts'
import { sendLoad, type MeasuredLoad } from './frame/load.ts'
import { limitOf } from './shop/limit.ts'
import { sellProducts } from './shop/products.ts'
import { until } from './shop/until.ts'

const CONNECTIONS = 128
const PRODUCTS = 100
const STOCK = 100_000_000
const USERS = 1_000
const REQUESTS_PER_SECOND_MAX = 25_000
const SOURCE = new URL('shop/requests.ts', import.meta.url).href

export const orders: Benchmark = {
  title: 'Placing orders',
  run: async (context) => {
    const { stage, seconds, repetitions, say } = context
    say('products are put on sale')
    await stage.prepareDatabase('orders')
    const products = await stage.startService('products')
    const service = await stage.startService('orders')
    const productIds = await sellProducts(stage, products, { count: PRODUCTS, stock: STOCK, isOrdersThere: true })
    const place = async (connections: number): Promise<MeasuredLoad> => {
      const result = await sendLoad(
        {
          url: service.url,
          connections,
          requests: REQUESTS_PER_SECOND_MAX * seconds,
          seconds,
          source: {
            module: SOURCE,
            name: 'placing',
            options: { key: stage.signingKey('orders'), productIds, quantity: 1, users: USERS },
          },
        },
        stage.processes,
      )
      say(`${Math.round(result.perSecond)} orders/s, ${JSON.stringify(result.statuses)}`)
      return result
    }
    const limit = await limitOf(stage, seconds)
    const limits = await interleave(repetitions, limit)
    say(JSON.stringify(limits))
    const placed = await interleave(repetitions, {
      placing: async () => {
        const result = await place(CONNECTIONS)
        const at = performance.now()
        await settled(context)
        say(`settled after ${Math.round(performance.now() - at)} ms more`)
        return result
      },
    })
    const best = Math.max(...Object.values(limits).map(median))
    return {
      measures: [
        ...Object.entries(limits).map(([name, values]) => ({ name, unit: 'commits/s', values })),
        {
          name: `POST /order, ${CONNECTIONS} connections`,
          unit: 'orders/s',
          values: placed.placing.map(({ perSecond }) => perSecond),
          cores: placed.placing[0]?.cores ?? {},
        },
      ],
      ratios: [
        {
          name: 'POST /order to the limit',
          value: median(placed.placing.map(({ perSecond }) => perSecond)) / best,
          aim: 2,
          floor: 1.5,
        },
      ],
    }
  },
}

async function settled({ stage }: BenchmarkContext): Promise<void> {
  await until(
    'every order is decided',
    async () => {
      const [row] = await stage.query<{ count: string }>(
        'orders',
        `select count(*) from orders where status = 'pending'`,
      )
      return row?.count === '0'
    },
    300_000,
  )
}
