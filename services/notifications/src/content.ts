import {
  optionalMailKinds,
  type authEvents,
  type DataOf,
  type MailKind,
  type Money,
  type NewSchedule,
  type OptionalMailKind,
  type ordersEvents,
  type productsEvents,
} from '@saas/contracts'

type Confirmed = DataOf<typeof ordersEvents.orderConfirmed>
type OrderFacts = Pick<Confirmed, 'orderId' | 'lines' | 'total'>

type Cart = DataOf<typeof ordersEvents.cartChanged>

/** A product of which few are left. */
export type LowProduct = Pick<
  DataOf<typeof productsEvents.stockRanLow>,
  'productId' | 'sku' | 'name' | 'available' | 'threshold'
>

/** What a mail of each kind is about, as its row keeps it. Codes and links are never in it. */
export interface FactsByKind {
  'verify-address': { readonly codeExpiresAt: string }
  'already-registered': Readonly<Record<string, never>>
  'login-code': Readonly<Record<string, never>>
  'password-reset': Readonly<Record<string, never>>
  'password-changed': Pick<DataOf<typeof authEvents.passwordChanged>, 'changedAt'>
  'factor-changed': Pick<DataOf<typeof authEvents.factorChanged>, 'factor' | 'change' | 'label' | 'changedAt'>
  'second-factor-failed': Pick<DataOf<typeof authEvents.secondFactorFailed>, 'device' | 'address' | 'failedAt'>
  'new-sign-in': Pick<DataOf<typeof authEvents.sessionOpened>, 'device' | 'address' | 'openedAt'>
  'order-confirmed': OrderFacts
  'order-rejected': OrderFacts & Pick<DataOf<typeof ordersEvents.orderRejected>, 'reason'>
  'order-cancelled': OrderFacts
  'email-change': { readonly codeExpiresAt: string }
  'email-changed': Pick<DataOf<typeof authEvents.emailChanged>, 'changedAt'>
  /** With the version of the cart: the mail loses its reason when there is a newer one. */
  'abandoned-cart': { readonly version: number; readonly lines: Cart['lines'] }
  'low-stock': LowProduct
  digest: { readonly count: number; readonly products: readonly LowProduct[]; readonly since: string }
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

/** Whether people can do without mails of this kind: they may refuse them, and in quiet hours such mails wait. */
export function isOptional(kind: MailKind): kind is OptionalMailKind {
  return (optionalMailKinds as readonly MailKind[]).includes(kind)
}
