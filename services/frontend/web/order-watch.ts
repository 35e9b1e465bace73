import { ordersRoutes, type Order } from '@saas/contracts'
import { open } from './client.ts'
import { readEvents } from './event-stream.ts'
import { Refused, Unanswered, isTemporary } from './send.ts'

const RECONNECT_MS_MIN = 500
const RECONNECT_MS_MAX = 15_000
/** The shop sends at least a comment every 15 seconds. A network that went away does not say so. */
const SILENCE_MS_MAX = 40_000

/**
 * Reports an order whenever it changes, until it is decided or `signal` is aborted. The shop ends a stream after a
 * minute; it is opened again, at once after a good one and ever later while there is trouble.
 */
export async function watchOrder(
  id: string,
  signal: AbortSignal,
  report: { order: (order: Order) => void; connected: (isConnected: boolean) => void },
): Promise<void> {
  let waitMs = RECONNECT_MS_MIN
  while (!signal.aborted) {
    const silence = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const hear = (): void => {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(new Unanswered('The stream fell silent.')), SILENCE_MS_MAX)
    }
    try {
      hear()
      const either = AbortSignal.any([signal, silence.signal])
      const response = await open(ordersRoutes.watchOrder, { params: { id }, signal: either })
      report.connected(true)
      waitMs = RECONNECT_MS_MIN
      if (response.body === null) return
      for await (const data of readEvents(response.body, hear)) {
        const order = JSON.parse(data) as Order
        report.order(order)
        if (order.status !== 'pending') return
      }
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof Refused && !isTemporary(error)) throw error
    } finally {
      clearTimeout(timer)
    }
    report.connected(false)
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    waitMs = Math.min(waitMs * 2, RECONNECT_MS_MAX)
  }
}
