import type { Clock } from '@saas/config'
import type { Bus } from '@saas/state'
import { applyOrderEvents, reservationEvents } from './reservations.ts'

/** Starts applying what happened to orders. */
export function consumeOrderEvents(bus: Bus, clock: Clock): void {
  bus.consume({
    durable: 'products',
    events: reservationEvents,
    apply: (tx, messages) => applyOrderEvents(tx, messages, clock.now()),
  })
}
