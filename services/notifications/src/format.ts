import { fractionDigits, type Money } from '@saas/contracts'

/** Languages times currencies, and languages times zones; far more than anybody has. */
const FORMATS_MAX = 2_000

/** Making a format costs a hundred times as much as using it (0.4 ms), so each is made once. */
class Formats<F> {
  readonly #make: (language: string, name: string) => F
  readonly #known = new Map<string, F>()

  constructor(make: (language: string, name: string) => F) {
    this.#make = make
  }

  of(language: string, name: string): F {
    const key = `${language} ${name}`
    let format = this.#known.get(key)
    if (format === undefined) {
      if (this.#known.size >= FORMATS_MAX) this.#known.clear()
      format = this.#make(language, name)
      this.#known.set(key, format)
    }
    return format
  }
}

const moneyFormats = new Formats((language, currency) => {
  const digits = fractionDigits(currency)
  const style = { style: 'currency', currency, minimumFractionDigits: digits, maximumFractionDigits: digits } as const
  return { format: new Intl.NumberFormat(language, style), digits }
})

const timeFormats = new Formats(
  (language, zone) =>
    new Intl.DateTimeFormat(language, {
      day: 'numeric',
      month: 'long',
      year: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
      timeZone: knownZone(zone),
      timeZoneName: 'short',
    }),
)

/** `{amount: 980, currency: 'EUR'}` is €9.80 in English and 9,80 € in German; the yen has no minor unit. */
export function formatMoney({ amount, currency }: Money, language: string): string {
  const { format, digits } = moneyFormats.of(language, currency)
  return format.format(amount / 10 ** digits)
}

/** A calendar date, `YYYY-MM-DD`: it is in no zone. */
export function formatDate(date: string, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'long', timeZone: 'UTC' }).format(new Date(date))
}

/** A moment in the recipient's zone, or in UTC while it is not known; the zone is always named. */
export function formatTime(time: string, language: string, zone: string | undefined): string {
  return timeFormats.of(language, zone ?? 'UTC').format(new Date(time))
}

const MINUTE_MS = 60_000
const MINUTES_IN_WORDS_MAX = 120
const HOURS_IN_WORDS_MAX = 72

/** What is left until a moment, rounded down so that no mail promises more than there is: “10 minutes”, “24 Stunden”. */
export function formatTimeLeft(until: Date, now: Date, language: string): string {
  const minutes = Math.max(1, Math.floor((until.getTime() - now.getTime()) / MINUTE_MS + 0.5))
  const hours = Math.floor(minutes / 60 + 0.02)
  const [count, unit] =
    minutes <= MINUTES_IN_WORDS_MAX
      ? [minutes, 'minute']
      : hours <= HOURS_IN_WORDS_MAX
        ? [hours, 'hour']
        : [Math.floor(hours / 24), 'day']
  return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(count)
}

function knownZone(zone: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone
  } catch {
    return 'UTC'
  }
}
