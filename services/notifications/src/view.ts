import { fallbackLanguage, fillPath, pages, shortId, type MailSecret } from '@saas/contracts'
import { singleLine } from './address.ts'
import type { Content, LowProduct, Recipient } from './content.ts'
import { formatDate, formatMoney, formatTime, formatTimeLeft } from './format.ts'

/** Who sends: what a mail says of the shop. */
export interface Shop {
  readonly name: string
  readonly url: string
}

/** Everything a mail is rendered from. */
export interface Occasion {
  readonly content: Content
  readonly recipient: Recipient
  /** In which it is written; the recipient may have asked for another. */
  readonly language: string
  readonly zone: string | undefined
  readonly secret: MailSecret | undefined
  readonly expiresAt: Date | undefined
  /** Of mails that people can refuse. */
  readonly unsubscribeToken?: string | undefined
}

/** The page that asks whether somebody wants no more mails of this kind. The token stands behind the #: no server logs it. */
function unsubscribePage(shop: Shop, token: string): string {
  return `${shop.url}/unsubscribe#${token}`
}

/**
 * The values a template may name. Everything people read as money or time is formatted here, in the language of the
 * mail; a value that is missing is missing in the template too, where it is an error.
 */
export function viewOf(
  { content, recipient, language, zone, secret, expiresAt, unsubscribeToken }: Occasion,
  shop: Shop,
  now: Date,
) {
  const formats: Formats = {
    language,
    time: (text) => formatTime(text, language, zone),
    timeLeft: (until) => (until > now ? formatTimeLeft(until, now, language) : undefined),
  }
  return {
    shop,
    links: {
      account: shop.url + pages.account,
      login: shop.url + pages.login,
      reset: shop.url + pages.reset,
      products: shop.url + pages.manageProducts,
      basket: shop.url + pages.basket,
    },
    unsubscribe: unsubscribeToken === undefined ? null : unsubscribePage(shop, unsubscribeToken),
    name: singleLine(recipient.name),
    ...(content.kind === 'email-change' ? { code: null } : {}),
    ...secret,
    ...(expiresAt === undefined ? {} : { timeLeft: formatTimeLeft(expiresAt, now, language) }),
    ...factsOf(content, shop, formats),
  }
}

/** Also those that only a newer version of the publisher knew. */
type AnnouncementByLanguage = Readonly<Record<string, { readonly title: string; readonly text: string } | undefined>>

interface Formats {
  readonly language: string
  readonly time: (text: string) => string
  /** Undefined when there is none. */
  readonly timeLeft: (until: Date) => string | undefined
}

function factsOf(
  content: Content,
  shop: Shop,
  { language, time, timeLeft }: Formats,
): Readonly<Record<string, unknown>> {
  switch (content.kind) {
    case 'email-change':
    case 'verify-address': {
      // The link outlives the code: a mail that comes late, after a long outage, leaves out what no longer works.
      const codeTimeLeft = timeLeft(new Date(content.facts.codeExpiresAt))
      return { codeTimeLeft: codeTimeLeft ?? null }
    }
    case 'email-changed':
    case 'password-changed':
      return { changedAt: time(content.facts.changedAt) }
    case 'factor-changed': {
      const { factor, change, label, changedAt } = content.facts
      return { factor, change, label: label === null ? null : singleLine(label), changedAt: time(changedAt) }
    }
    case 'second-factor-failed': {
      const { device, address, failedAt } = content.facts
      return { device: singleLine(device), address: singleLine(address), failedAt: time(failedAt) }
    }
    case 'new-sign-in': {
      const { device, address, openedAt } = content.facts
      return { device: singleLine(device), address: singleLine(address), openedAt: time(openedAt) }
    }
    case 'order-confirmed':
    case 'order-cancelled':
      return { order: orderOf(content.facts, shop, language) }
    case 'abandoned-cart':
      return {
        products: content.facts.lines.map(({ productId, name, quantity, unitPrice }) => ({
          name: quantity === 1 ? singleLine(name) : `${quantity} × ${singleLine(name)}`,
          value: formatMoney({ ...unitPrice, amount: unitPrice.amount * quantity }, language),
          url: shop.url + fillPath(pages.product, { id: productId }),
        })),
      }
    case 'low-stock':
      return { product: lowProductOf(content.facts, shop) }
    case 'digest': {
      const { count, products, since } = content.facts
      const shown = products.map((product) => lowProductOf(product, shop))
      return { count, more: count - shown.length, products: shown, since: time(since) }
    }
    case 'daily-sales': {
      const { date, orders, cancelled, revenue, products } = content.facts
      return {
        date: formatDate(date, language),
        orders,
        cancelled,
        revenue: revenue.map((amount) => formatMoney(amount, language)),
        products: products.map(({ name, quantity }) => ({ name: singleLine(name), value: String(quantity) })),
      }
    }
    case 'new-products':
      return {
        products: content.facts.products.map(({ productId, name, price }) => ({
          name: singleLine(name),
          value: formatMoney(price, language),
          url: shop.url + fillPath(pages.product, { id: productId }),
        })),
      }
    case 'announcement': {
      const { title, text } = (content.facts as AnnouncementByLanguage)[language] ?? content.facts[fallbackLanguage]
      return { title: singleLine(title), paragraphs: text.split(/\s*\n\s*\n\s*/).map((part) => singleLine(part)) }
    }
    case 'order-rejected':
      return { order: orderOf(content.facts, shop, language), reason: content.facts.reason }
    default:
      return {}
  }
}

function lowProductOf({ productId, sku, name, available, threshold }: LowProduct, shop: Shop) {
  const shownName = singleLine(name)
  const url = shop.url + fillPath(pages.manageProduct, { id: productId })
  return { sku, name: shownName, available, threshold, value: String(available), url }
}

type OrderFacts = Extract<Content, { kind: 'order-confirmed' }>['facts']

function orderOf({ orderId, lines, total }: OrderFacts, shop: Shop, language: string) {
  return {
    id: orderId,
    shortId: shortId(orderId),
    url: shop.url + fillPath(pages.order, { id: orderId }),
    total: formatMoney(total, language),
    lines: lines.map(({ name, quantity, unitPrice }) => ({
      name: singleLine(name),
      quantity,
      unitPrice: formatMoney(unitPrice, language),
      price: formatMoney({ ...unitPrice, amount: unitPrice.amount * quantity }, language),
    })),
  }
}
