import { interleave, median, type Benchmark, type BenchmarkContext, type Measure } from './frame/benchmark.ts'
import { sendLoad, type MeasuredLoad } from './frame/load.ts'
import { limitOf } from './shop/limit.ts'
import { countByStatus, openShop, placingJob, settle, warmUp, type Shop } from './shop/saga.ts'
import { fileURLToPath } from 'node:url'

const CONNECTIONS = 128
const REQUESTS_PER_SECOND_MAX = 25_000
const PLAIN_POOL = fileURLToPath(new URL('shop/plain-pool-main.ts', import.meta.url))

interface SagaRun {
  readonly load: MeasuredLoad
  /** From the first order to the last decision. */
  readonly confirmedPerSecond: number
}

/** What is measured here is told in docs/benchmarks.md. */
export const orders: Benchmark = {
  title: 'Placing orders',
  run: async (context) => {
    const { stage, seconds, repetitions, say } = context
    const shop = await openShop(stage)
    const plain = await stage.startService('orders', { name: 'plain pool', program: PLAIN_POOL })
    const limit = await limitOf(stage, seconds)
    const alone = await interleave(repetitions, {
      single: () => placeSingly(context, shop, shop.orders.url),
      plain: () => placeSingly(context, shop, plain.url),
    })
    // It publishes as orders does, so beside it some of what is measured next would be its work.
    await plain[Symbol.asyncDispose]()
    await warmUp(stage, shop)
    // The limit is measured in turns with each thing that is compared with it: this machine is not the same from one minute to the next.
    const sagas = await interleave<string, number | MeasuredLoad | SagaRun>(repetitions, {
      ...limit,
      decided: () => placeAndWait(context, shop),
      saga: () => runSaga(context, shop),
    })
    // Without products nothing is decided: only the placing is left.
    await shop.products[Symbol.asyncDispose]()
    const placed = await interleave<string, number | MeasuredLoad>(repetitions, {
      ...limit,
      placing: () => sendLoad(burst(context, shop), stage.processes),
    })
    // Without NATS nothing is published either, and the machine does exactly what pgbench does: it writes the rows.
    await stage.servers.nats.child.stop()
    const written = await interleave<string, number | MeasuredLoad>(repetitions, {
      ...limit,
      placing: () => sendLoad(burst(context, shop), stage.processes),
    })
    const saga = sagas['saga'] as SagaRun[]
    const decided = sagas['decided'] as MeasuredLoad[]
    const [placings, writings] = [placed['placing'] as MeasuredLoad[], written['placing'] as MeasuredLoad[]]
    const limits = Object.keys(limit).map((name) => ({
      name,
      unit: 'commits/s',
      values: [sagas, placed, written].flatMap((runs) => runs[name] as number[]),
    }))
    const best = (runs: typeof sagas | typeof placed): number =>
      Math.max(...Object.keys(limit).map((name) => median(runs[name] as number[])))
    const placing = rate(`POST /order, ${CONNECTIONS} connections`, placings)
    const writing = rate(`POST /order, ${CONNECTIONS} connections, NATS stopped`, writings)
    const placingInSaga = rate(
      `POST /order, ${CONNECTIONS} connections, while the saga runs`,
      saga.map(({ load }) => load),
    )
    const confirmed = {
      name: 'placed to confirmed, sustained',
      unit: 'orders/s',
      values: saga.map(({ confirmedPerSecond }) => confirmedPerSecond),
    }
    const singly = latency('one order at a time, p50', alone.single, 'p50Ms')
    const plainSingly = latency('one order at a time, plain pool, p50', alone.plain, 'p50Ms')
    const p50 = latency('placed to confirmed, one at a time, p50', decided, 'p50Ms')
    const p99 = latency('placed to confirmed, one at a time, p99', decided, 'p99Ms')
    say(`answers: ${JSON.stringify(placings.map(({ statuses }) => statuses))}`)
    return {
      measures: [...limits, placing, writing, placingInSaga, confirmed, singly, plainSingly, p50, p99],
      ratios: [
        { name: 'POST /order to the limit', value: median(placing.values) / best(placed), aim: 2, floor: 1.5 },
        { name: 'the same, NATS stopped', value: median(writing.values) / best(written), aim: 2, floor: 1.5 },
        {
          name: 'sustained to confirmed to the limit',
          value: median(confirmed.values) / best(sagas),
          aim: 1,
          floor: 0.6,
        },
        { name: 'placed to confirmed, p50', value: median(p50.values), unit: ' ms', aim: 15, atMost: true },
        { name: 'placed to confirmed, p99', value: median(p99.values), unit: ' ms', aim: 60, atMost: true },
        {
          name: 'one order at a time, more than the plain pool',
          value: median(singly.values) - median(plainSingly.values),
          unit: ' ms',
          aim: 1,
          atMost: true,
        },
      ],
      notes: [
        `The limit is the best of the three pgbench lines, in turns with the saga ${Math.round(best(sagas))}, with placing ${Math.round(best(placed))}, with NATS stopped ${Math.round(best(written))} commits/s.`,
        `p99 of POST /order at ${CONNECTIONS} connections: ${Math.round(median(placings.map(({ p99Ms }) => p99Ms)))} ms.`,
      ],
    }
  },
}

function burst({ stage, seconds }: BenchmarkContext, { orders: { url }, productIds }: Shop) {
  return placingJob(stage, {
    url,
    productIds,
    connections: CONNECTIONS,
    requests: REQUESTS_PER_SECOND_MAX * seconds,
    seconds,
  })
}

/** One connection that does not wait for the decision. */
async function placeSingly(
  { stage, seconds }: BenchmarkContext,
  { productIds }: Shop,
  url: string,
): Promise<MeasuredLoad> {
  const job = placingJob(stage, { url, productIds, connections: 1, requests: 2_000 * seconds, seconds: seconds / 2 })
  const load = await sendLoad(job, stage.processes)
  await settle(stage)
  return load
}

/** One connection whose every answer is the decision. */
async function placeAndWait(
  { stage, seconds }: BenchmarkContext,
  { orders: { url }, productIds }: Shop,
): Promise<MeasuredLoad> {
  const job = placingJob(stage, { url, productIds, connections: 1, requests: 500 * seconds, seconds, waitSeconds: 10 })
  return await sendLoad(job, stage.processes)
}

async function runSaga(context: BenchmarkContext, shop: Shop): Promise<SagaRun> {
  const { stage, say } = context
  const before = (await countByStatus(stage))['confirmed'] ?? 0
  const job = burst(context, shop)
  const startedAtMs = performance.now()
  const load = await sendLoad(job, stage.processes)
  await settle(stage)
  const elapsedSeconds = (performance.now() - startedAtMs) / 1_000
  const confirmed = ((await countByStatus(stage))['confirmed'] ?? 0) - before
  if (confirmed !== load.answers) throw new Error(`${load.answers} orders were placed and ${confirmed} confirmed`)
  say(
    `${Math.round(load.perSecond)} placed/s, ${Math.round(confirmed / elapsedSeconds)} confirmed/s, ${JSON.stringify(load.cores)}`,
  )
  return { load, confirmedPerSecond: confirmed / elapsedSeconds }
}

function rate(name: string, loads: readonly MeasuredLoad[]): Measure {
  return { name, unit: 'orders/s', values: loads.map(({ perSecond }) => perSecond), cores: loads[0]?.cores ?? {} }
}

function latency(name: string, loads: readonly MeasuredLoad[] = [], which: 'p50Ms' | 'p99Ms'): Measure {
  return { name, unit: 'ms', values: loads.map((load) => load[which]), cores: loads[0]?.cores ?? {} }
}
