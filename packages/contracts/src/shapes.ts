import type { Static, TProperties, TSchema } from 'typebox'
import { languages } from './languages.ts'
import { Type } from './schema.ts'

/** A request object: unknown fields are refused, never dropped silently. */
export function Strict<P extends TProperties>(properties: P) {
  return Type.Object(properties, { additionalProperties: false })
}

/** UUIDv7, made by whoever creates the thing. The length refuses `urn:uuid:…`, which the format allows and Postgres does not. */
export const Id = Type.String({ format: 'uuid', maxLength: 36 })

/**
 * How people are told an id, in mails and on pages: the last eight characters, which are random. The first ones of a
 * UUIDv7 are its time and look alike for hours.
 */
export function shortId(id: string): string {
  return id.slice(-8).toUpperCase()
}

const TIME =
  /^(?!0000)\d{4}-\d\d-(\d\d)[Tt](?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:0\d|1[0-5]):[0-5]\d)$/

/**
 * RFC 3339, but for leap seconds, which no clock here has, and for what Postgres does not know: the year 0, zones 16 hours away, and fractions
 * of more digits than anybody measures.
 */
export function isTime(text: string): boolean {
  const day = TIME.exec(text)?.[1]
  if (day === undefined || Number.isNaN(Date.parse(text))) return false
  return new Date(`${text.slice(0, 10)}T00:00:00Z`).getUTCDate() === Number(day)
}

/** RFC 3339, UTC. */
export const Time = Type.String({ format: 'date-time' })

export const AMOUNT_MAX = 1_000_000_000_000
export const QUANTITY_MAX = 10_000
export const STOCK_MAX = 1_000_000_000
export const LINES_MAX = 100
const PAGE_ITEMS_MAX = 100
export const PAGE_ITEMS_DEFAULT = 24

const Currency = Type.String({
  pattern: '^[A-Z]{3}$',
  description: 'Three capital letters, an ISO 4217 code',
  examples: ['EUR'],
})

/** An integer of minor units with its currency. */
export const Money = Type.Object(
  { amount: Type.Integer({ minimum: 0, maximum: AMOUNT_MAX, description: 'Minor units' }), currency: Currency },
  { additionalProperties: false },
)
export type Money = Static<typeof Money>

const DIGITS_USUAL = 2
const currenciesByDigits: Readonly<Record<number, string>> = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF',
  3: 'BHD IQD JOD KWD LYD OMR TND',
  4: 'CLF UYW',
}
const unusualDigits: ReadonlyMap<string, number> = new Map(
  Object.entries(currenciesByDigits).flatMap(([digits, codes]) =>
    codes.split(' ').map((code) => [code, Number(digits)]),
  ),
)

/**
 * How many digits of an amount stand after the point (ISO 4217): 2 for EUR, 0 for JPY, 3 for KWD. Runtimes must not be asked: some say how many
 * are usual instead, none for HUF, and what one of them takes for 19.90 is 1,990 for another.
 */
export function fractionDigits(currency: string): number {
  return unusualDigits.get(currency) ?? DIGITS_USUAL
}

export const Quantity = Type.Integer({ minimum: 1, maximum: QUANTITY_MAX })

/**
 * One plain address. Quoted local parts and address literals are valid (RFC 5321) and refused all the same: nobody signs up
 * with one, and they are where header injection lives. What stands before the `@` has at most 64 characters, or no mail goes there.
 */
export const Email = Type.String({
  format: 'email',
  maxLength: 254,
  pattern: '^[^\\s"(),:;<>@\\[\\]\\\\]{1,64}@[^\\s"(),:;<>@\\[\\]\\\\]+$',
  description: 'One plain address, of at most 64 characters before the `@`',
})

/** One that somebody can choose. */
export const Language = Type.Enum(languages)
export type Language = (typeof languages)[number]

/** What those get whose language is not there, or not yet. */
export const fallbackLanguage = languages[0]
export type FallbackLanguage = typeof fallbackLanguage

/**
 * The language of somebody in an event (BCP 47). Not only those that are known here: a publisher of a newer version may know more,
 * and its reader then gets the mail in the fallback language, not never.
 */
export const LanguageTag = Type.String({ pattern: '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$', maxLength: 35 })

/** IANA name, such as `Europe/Berlin`. Checked against the runtime's own list. */
export const Zone = Type.String({
  maxLength: 64,
  pattern: '^[A-Za-z0-9_+/-]+$',
  description: 'The name of an IANA zone',
  examples: ['Europe/Berlin'],
})

/** Where a retry after a lost answer must not act twice. `parseIdempotencyKey` checks the form. */
export const Key = Type.Optional(Type.String({ maxLength: 255 }))
export const KeyHeaders = Type.Object({ 'idempotency-key': Key })

export const IdParams = Strict({ id: Id })

/** Names a stored picture. */
export const PictureKeyParams = Strict({
  key: Type.String({
    pattern: '^[A-Za-z0-9_-]{22}-(small|medium|large)$',
    description: 'The key of a picture, a hyphen and a size',
  }),
})

/** A page of a list: `next` is the cursor of the following page, or null on the last. */
export function Page<S extends TSchema>(item: S) {
  return Type.Object({ items: Type.Array(item), next: Type.Union([Type.String(), Type.Null()]) })
}

export const pageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_ITEMS_MAX, default: PAGE_ITEMS_DEFAULT })),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
}
