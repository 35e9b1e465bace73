import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  connectState,
  effectsIn,
  emitVersions,
  eventually,
  recognise,
  recordEffects,
  replicatedTestBus,
  type TestBus,
} from './fixtures.ts'

const COUNT = 200
/** Servers wait for four to nine seconds before they choose another leader. */
const ELECTIONS_TIMEOUT_MS = 40_000

let bus: TestBus
beforeAll(async () => {
  bus = await replicatedTestBus()
})
afterAll(async () => {
  await bus[Symbol.asyncDispose]()
})

test(
  'of three servers the leading one is killed, and each message has its effect once and in order',
  { timeout: 2 * ELECTIONS_TIMEOUT_MS },
  async () => {
    await using products = await connectState('products', bus)
    await using orders = await connectState('orders', bus)
    products.state.bus.startRelay()
    recordEffects(orders)
    const aggregateId = uuidv7()
    const ids: string[] = []
    const moreHaveEffect = async (): Promise<void> => {
      ids.push(...(await emitVersions(products, { aggregateId, from: ids.length + 1, count: COUNT })))
      await eventually(async () => expect(await effectsIn(orders)).toEqual(ids), { timeoutMs: ELECTIONS_TIMEOUT_MS })
    }
    await moreHaveEffect()
    const manager = await bus.manager()
    const { cluster } = await manager.streams.info('messages')
    expect(cluster?.replicas).toHaveLength(bus.children.length - 1)
    const leading = bus.children.find(({ name }) => name.endsWith(cluster?.leader ?? 'nobody'))
    await leading?.kill()
    expect(leading?.pid).toBeUndefined()
    await moreHaveEffect()
    await leading?.restart()
    await eventually(async () => {
      const whole = await manager.streams.info('messages')
      expect(whole.cluster?.replicas?.map(({ current }) => current)).toEqual([true, true])
    })
  },
)

test('what three servers have already is recognised many at once', async () => {
  await using products = await connectState('products', bus)
  const { ids, stored, marked, passes } = await recognise(products, bus, COUNT)
  expect({ stored, marked }).toEqual({ stored: ids, marked: ids })
  // One by one it would take as many passes as there are versions; on a busy machine some begin before the servers agree on the last ones.
  expect(passes).toBeLessThan(COUNT / 4)
})
