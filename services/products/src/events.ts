import type { Clock } from '@saas/config'
import { authEvents } from '@saas/contracts'
import { forgetDeadLetters, type Bus } from '@saas/state'
import { applyOrderEvents, reservationEvents, type OrderMessage } from './reservations.ts'

const { userDeleted } = authEvents

/** Starts applying what happened to orders, and forgetting who is gone. */
export function consumeEvents(bus: Bus, clock: Clock): void {
  bus.consume({
    durable: 'products',
    events: [...reservationEvents, userDeleted],
    apply: async (tx, messages) => {
      const ordering: OrderMessage[] = []
      const gone: string[] = []
      for (const message of messages) {
        if (message.subject === userDeleted.subject) gone.push(message.data.userId)
        else ordering.push(message)
      }
      await applyOrderEvents(tx, ordering, clock.now())
      // An order that nobody could apply names its customer, and is all that this service keeps of anybody.
      if (gone.length > 0) await forgetDeadLetters(tx, gone)
    },
  })
}
