import { authEvents, mailKinds, ordersEvents, productsEvents, scheduleEvents, type MailKind } from '@saas/contracts'
import { isOptional, type Content, type FactsByKind, type Recipient } from './content.ts'
import { previewPage } from './preview-page.ts'
import { Templates } from './templates.ts'
import { viewOf, type Shop } from './view.ts'

/** One mail as it would look. */
export interface Preview {
  readonly kind: MailKind
  readonly language: string
  readonly subject: string
  readonly html: string
  readonly text: string
}

const CODE_VALID_MS = 10 * 60_000
const LINK_VALID_MS = 24 * 3_600_000
const UNDO_VALID_MS = 7 * LINK_VALID_MS
const EXAMPLE_USER = '01977c1e-6a00-7000-8000-000000000001'
const now = new Date('2026-01-01T12:00:00.000Z')
const secretByKind: Partial<Record<MailKind, readonly ('code' | 'link')[]>> = {
  'verify-address': ['code', 'link'],
  'login-code': ['code'],
  'password-reset': ['link'],
  'email-change': ['code', 'link'],
  'email-changed': ['link'],
}

/** What each kind is shown with: the examples of the contracts. */
const examples: FactsByKind = {
  'verify-address': { codeExpiresAt: '2026-01-01T12:10:00.000Z' },
  'already-registered': {},
  'login-code': {},
  'password-reset': {},
  'password-changed': authEvents.passwordChanged.example,
  'factor-changed': authEvents.factorChanged.example,
  'second-factor-failed': authEvents.secondFactorFailed.example,
  'new-sign-in': authEvents.sessionOpened.example,
  'order-confirmed': ordersEvents.orderConfirmed.example,
  'order-rejected': ordersEvents.orderRejected.example,
  'order-cancelled': ordersEvents.orderCancelled.example,
  'email-change': { codeExpiresAt: '2026-01-01T12:10:00.000Z' },
  'email-changed': authEvents.emailChanged.example,
  'abandoned-cart': { version: 3, lines: [...ordersEvents.cartChanged.example.lines] },
  'low-stock': productsEvents.stockRanLow.example,
  digest: {
    count: 52,
    products: [
      productsEvents.stockRanLow.example,
      { ...productsEvents.stockRanLow.example, sku: 'POT-3', name: 'Teapot “Kyoto” of cast iron', available: 0 },
    ],
    since: '2026-01-01T11:00:00.000Z',
  },
  'daily-sales': {
    date: '2025-12-31',
    orders: 42,
    cancelled: 2,
    revenue: [{ amount: 128_340, currency: 'EUR' }],
    products: [
      { name: 'Green tea', quantity: 31 },
      { name: 'Teapot “Kyoto” of cast iron, for one litre', quantity: 4 },
    ],
  },
  'new-products': { products: [productsEvents.productCreated.example] },
  announcement: scheduleEvents.ordersScheduleRequested.example.announcement,
}

/** Every kind of mail in every language, rendered from the contracts' examples. */
export function previews(
  shop: Shop = { name: 'Shop', url: 'http://localhost:8080' },
  templates = new Templates(),
): Preview[] {
  return mailKinds.flatMap((kind) => templates.languages.map((language) => preview(templates, kind, language, shop)))
}

function preview(templates: Templates, kind: MailKind, language: string, shop: Shop): Preview {
  const content = { kind, facts: examples[kind] } as Content
  const recipient: Recipient = { email: 'ada@example.com', name: 'Ada', language }
  const secret = exampleSecret(kind, shop)
  const expiresAt = secret === undefined ? undefined : new Date(now.getTime() + validMsOf(kind))
  const unsubscribeToken = isOptional(kind) ? `${EXAMPLE_USER}.${kind}.${'A'.repeat(43)}` : undefined
  const occasion = { content, recipient, language, zone: 'Europe/Berlin', secret, expiresAt, unsubscribeToken }
  const view = viewOf(occasion, shop, now)
  return { kind, ...templates.render(kind, language, view) }
}

function validMsOf(kind: MailKind): number {
  if (kind === 'email-changed') return UNDO_VALID_MS
  return kind === 'verify-address' || kind === 'email-change' ? LINK_VALID_MS : CODE_VALID_MS
}

function exampleSecret(kind: MailKind, shop: Shop) {
  const parts = secretByKind[kind]
  if (parts === undefined) return undefined
  const page = kind === 'password-reset' ? 'reset' : 'verify'
  return {
    ...(parts.includes('code') ? { code: '426913' } : {}),
    ...(parts.includes('link') ? { link: `${shop.url}/${page}#token=${'A'.repeat(43)}` } : {}),
  }
}

if (import.meta.main) {
  const all = previews()
  if (process.argv.includes('--html')) process.stdout.write(previewPage(all))
  else
    for (const { kind, language, subject, text } of all)
      process.stdout.write(`── ${language}/${kind}: ${subject}\n\n${text}\n`)
}
