import type { Clock } from '@saas/config'
import { authEvents } from '@saas/contracts'
import { forgetDeadLetters, type Bus, type MessageOf } from '@saas/state'
import { exportChanges } from './change-export.ts'
import { applyOrderEvents, reservationEvents, type OrderMessage } from './reservations.ts'

const { userDeleted, exportRequested } = authEvents

/** Starts applying what happened to orders, forgetting who is gone, and telling people what is kept about them. */
export function consumeEvents(bus: Bus, clock: Clock): void {
  bus.consume({
    durable: 'products',
    events: [...reservationEvents, userDeleted, exportRequested],
    apply: async (tx, messages) => {
      const ordering: OrderMessage[] = []
      const gone: string[] = []
      const exported: MessageOf<typeof exportRequested>[] = []
      for (const message of messages) {
        if (message.subject === userDeleted.subject) gone.push(message.data.userId)
        else if (message.subject === exportRequested.subject) exported.push(message)
        else ordering.push(message)
      }
      await applyOrderEvents(tx, ordering, clock.now())
      await exportChanges(tx, exported)
      // An order that nobody could apply names its customer. The ledgers of price and stock keep the id of who changed them, for the books.
      if (gone.length > 0) await forgetDeadLetters(tx, gone)
    },
  })
}
