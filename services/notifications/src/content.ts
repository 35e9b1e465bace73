import type { authEvents, DataOf, MailKind, Money, NewSchedule, ordersEvents } from '@saas/contracts'

type Confirmed = DataOf<typeof ordersEvents.orderConfirmed>
type OrderFacts = Pick<Confirmed, 'orderId' | 'lines' | 'total'>

/** What a mail of each kind is about, as its row keeps it. Codes and links are never in it. */
export interface FactsByKind {
  'verify-address': { readonly codeExpiresAt: string }
  'already-registered': Readonly<Record<string, never>>
  'login-code': Readonly<Record<string, never>>
  'password-reset': Readonly<Record<string, never>>
  'password-changed': Pick<DataOf<typeof authEvents.passwordChanged>, 'changedAt'>
  'factor-changed': Pick<DataOf<typeof authEvents.factorChanged>, 'factor' | 'change' | 'label' | 'changedAt'>
  'new-sign-in': Pick<DataOf<typeof authEvents.sessionOpened>, 'device' | 'address' | 'openedAt'>
  'order-confirmed': OrderFacts
  'order-rejected': OrderFacts & Pick<DataOf<typeof ordersEvents.orderRejected>, 'reason'>
  'order-cancelled': OrderFacts
  'daily-sales': {
    /** `YYYY-MM-DD`, in the shop's zone. */
    readonly date: string
    readonly orders: number
    readonly cancelled: number
    /** One amount a currency, of all orders confirmed that day. */
    readonly revenue: readonly Money[]
    readonly products: readonly { readonly name: string; readonly quantity: number }[]
  }
  'new-products': {
    readonly products: readonly { readonly productId: string; readonly name: string; readonly price: Money }[]
  }
  announcement: NewSchedule['announcement']
}

/** A kind of mail with its facts. */
export type Content = { [K in MailKind]: { readonly kind: K; readonly facts: FactsByKind[K] } }[MailKind]

/** Where a mail goes and in which language. */
export interface Recipient {
  readonly email: string
  readonly name: string
  readonly language: string
}
