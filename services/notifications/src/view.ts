import { fillPath, pages, shortId, type MailSecret } from '@saas/contracts'
import { singleLine } from './address.ts'
import type { Content, Recipient } from './content.ts'
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
  readonly zone: string | undefined
  readonly secret: MailSecret | undefined
  readonly expiresAt: Date | undefined
}

/**
 * The values a template may name. Everything people read as money or time is formatted here, in the recipient's
 * language; a value that is missing is missing in the template too, where it is an error.
 */
export function viewOf({ content, recipient, zone, secret, expiresAt }: Occasion, shop: Shop, now: Date) {
  const { language, name } = recipient
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
    },
    name: singleLine(name),
    ...secret,
    ...(expiresAt === undefined ? {} : { timeLeft: formatTimeLeft(expiresAt, now, language) }),
    ...factsOf(content, shop, formats),
  }
}

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
    case 'verify-address': {
      // The link outlives the code: a mail that comes late, after a long outage, leaves out what no longer works.
      const codeTimeLeft = timeLeft(new Date(content.facts.codeExpiresAt))
      return { codeTimeLeft: codeTimeLeft ?? null }
    }
    case 'password-changed':
      return { changedAt: time(content.facts.changedAt) }
    case 'factor-changed': {
      const { factor, change, label, changedAt } = content.facts
      return { factor, change, label: label === null ? null : singleLine(label), changedAt: time(changedAt) }
    }
    case 'new-sign-in': {
      const { device, address, openedAt } = content.facts
      return { device: singleLine(device), address: singleLine(address), openedAt: time(openedAt) }
    }
    case 'order-confirmed':
    case 'order-cancelled':
      return { order: orderOf(content.facts, shop, language) }
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
      const { title, text } = language === 'de' ? content.facts.de : content.facts.en
      return { title: singleLine(title), paragraphs: text.split(/\s*\n\s*\n\s*/).map((part) => singleLine(part)) }
    }
    case 'order-rejected':
      return { order: orderOf(content.facts, shop, language), reason: content.facts.reason }
    default:
      return {}
  }
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
