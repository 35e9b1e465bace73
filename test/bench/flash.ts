import { percentile, type Benchmark } from './frame/benchmark.ts'
import { sendLoad } from './frame/load.ts'
import { sellProducts } from './shop/products.ts'
import { countByStatus, placingJob, settle } from './shop/saga.ts'

const ORDERS = 20_000
const CONNECTIONS = 200
const UNITS = 1_000
const WITHIN_SECONDS = 10

/** Everybody wants one of the few. */
export const flash: Benchmark = {
  title: 'Flash sale',
  run: async ({ stage, repetitions, say }) => {
    const products = await stage.startService('products')
    const service = await stage.startService('orders')
    const seconds: number[] = []
    const latencies: number[] = []
    let cores: Record<string, number> = {}
    for (let sale = 1; sale <= repetitions; sale += 1) {
      const productIds = await sellProducts(stage, products, {
        count: 1,
        stock: UNITS,
        isOrdersThere: true,
        from: sale,
      })
      const before = await countByStatus(stage)
      const job = placingJob(stage, {
        url: service.url,
        productIds,
        connections: CONNECTIONS,
        requests: ORDERS,
        users: ORDERS,
      })
      const load = await sendLoad(job, stage.processes)
      const sentMs = performance.now()
      await settle(stage)
      seconds.push(load.seconds + (performance.now() - sentMs) / 1_000)
      latencies.push(load.p99Ms)
      cores = load.cores
      const after = await countByStatus(stage)
      const count = (status: string): number => (after[status] ?? 0) - (before[status] ?? 0)
      say(`${count('confirmed')} confirmed, ${count('rejected')} rejected, ${count('pending')} pending`)
      if (count('confirmed') !== UNITS || count('rejected') !== ORDERS - UNITS || count('pending') !== 0) {
        throw new Error(`Of ${ORDERS} orders ${JSON.stringify(after)} after ${JSON.stringify(before)}`)
      }
      const [stock] = await stage.query<{ available: string }>(
        'products',
        'select available from product where id = $1',
        productIds,
      )
      if (stock?.available !== '0') throw new Error(`${stock?.available} units are left`)
    }
    return {
      measures: [
        { name: `${ORDERS} orders for ${UNITS} units, all decided`, unit: 's', values: seconds, cores },
        { name: `p99 of POST /order, ${CONNECTIONS} connections`, unit: 'ms', values: latencies },
      ],
      ratios: [
        {
          name: `every order decided`,
          value: percentile(seconds, 50),
          unit: ' s',
          aim: WITHIN_SECONDS,
          atMost: true,
        },
      ],
      notes: [
        `Each sale ended with exactly ${UNITS} orders confirmed, ${ORDERS - UNITS} rejected, none pending and no unit left.`,
      ],
    }
  },
}
