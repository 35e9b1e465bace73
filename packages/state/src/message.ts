import type { DataOf, Event } from '@saas/contracts'

/** An event as a consumer gets it: understood, and its data checked against the contract. */
export type MessageOf<E extends Event> = E extends Event
  ? {
      /** The outbox id: the same however often it is delivered. */
      readonly id: string
      readonly event: E
      readonly subject: E['subject']
      readonly data: DataOf<E>
      readonly aggregateId: string
      /** 1 for the first event of the aggregate, then one more each. */
      readonly aggregateVersion: number
      /** When the event happened. */
      readonly time: Date
      readonly traceParent: string | undefined
    }
  : never

/** A message of any event. */
export type Message = MessageOf<Event>
