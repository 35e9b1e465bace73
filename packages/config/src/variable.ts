/**
 * One environment variable: its name, what it is for, and how its text becomes a value.
 *
 * `parse` throws an Error whose message says what is expected, never what was given: the
 * message of a secret is printed like any other.
 */
export interface Variable<T> {
  readonly name: string
  readonly description: string
  readonly parse: (text: string) => T
  /** The text used when the variable is unset. `undefined` means the variable must be set. */
  readonly default?: string
  /** Set when the value must be neither printed nor written into `.env.example` as it is. */
  readonly secret?: boolean
  /** What `.env.example` shows of a variable that must be set. */
  readonly example?: string
}

interface Description {
  readonly description: string
  readonly secret?: boolean
}

/** What is common to all constructors below. A variable has a default, or must be set and has an example. */
type VariableOptions = Description & ({ readonly default: string } | { readonly example: string })

const TEXT_LENGTH_MAX = 4096
const TOKEN_LENGTH_MIN = 16

function variable<T>(name: string, options: VariableOptions, parse: (text: string) => T): Variable<T> {
  return { name, ...options, parse }
}

/** Any text of 1 to 4096 characters. */
export function text(name: string, options: VariableOptions): Variable<string> {
  return variable(name, options, parseText)
}

function parseText(value: string): string {
  if (value.length > TEXT_LENGTH_MAX) throw new Error(`must have at most ${TEXT_LENGTH_MAX} characters`)
  return value
}

/** A text that proves who has it, too long to be guessed; it may be unset: then the value is `undefined`. */
export function optionalToken(name: string, options: Description): Variable<string | undefined> {
  return variable(name, { ...options, default: '' }, (value) => {
    if (value === '') return undefined
    if (value.length < TOKEN_LENGTH_MIN) throw new Error(`must have at least ${TOKEN_LENGTH_MIN} characters`)
    return parseText(value)
  })
}

/** An IANA time zone that the runtime knows. */
export function zone(name: string, options: VariableOptions): Variable<string> {
  return variable(name, options, (value) => {
    try {
      return new Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions().timeZone
    } catch {
      throw new Error('must be an IANA time zone, such as Europe/Berlin')
    }
  })
}

/** One of the given words. */
export function oneOf<const T extends string>(
  name: string,
  choices: readonly T[],
  options: VariableOptions,
): Variable<T> {
  return variable(name, options, (value) => {
    const choice = choices.find((candidate) => candidate === value)
    if (choice === undefined) throw new Error(`must be one of ${choices.join(', ')}`)
    return choice
  })
}

/** A whole number between `min` and `max`, both included, written in decimal digits. */
export function integer(name: string, min: number, max: number, options: VariableOptions): Variable<number> {
  return variable(name, options, (value) => {
    const number = /^-?\d{1,15}$/.test(value) ? Number(value) : Number.NaN
    if (!(number >= min && number <= max)) throw new Error(`must be a whole number from ${min} to ${max}`)
    return number
  })
}

/** An absolute URL with one of `protocols` (written without the colon), given back as text. */
export function url(name: string, protocols: readonly string[], options: VariableOptions): Variable<string> {
  return variable(name, options, (value) => parseUrl(value, protocols))
}

/** A URL that may be unset: then the value is `undefined`. */
export function optionalUrl(
  name: string,
  protocols: readonly string[],
  options: Description,
): Variable<string | undefined> {
  return variable(name, { ...options, default: '' }, (value) => (value === '' ? undefined : parseUrl(value, protocols)))
}

/** A number from 0 to 1. */
export function share(name: string, options: VariableOptions): Variable<number> {
  return variable(name, options, (value) => {
    if (!/^(0(\.\d{1,9})?|1(\.0{1,9})?)$/.test(value)) throw new Error('must be a number from 0 to 1, such as 0.05')
    return Number(value)
  })
}

/** One or more comma-separated URLs. */
export function urlList(
  name: string,
  protocols: readonly string[],
  options: VariableOptions,
): Variable<readonly string[]> {
  return variable(name, options, (value) => splitList(value).map((item) => parseUrl(item, protocols)))
}

/** Exactly `bytes` random bytes in base64url without padding (RFC 4648 section 5). */
export function base64urlKey(name: string, bytes: number, options: VariableOptions): Variable<Uint8Array> {
  return variable(name, options, (value) => parseKey(value, bytes))
}

/** A key that may be unset: then the value is `undefined`. */
export function optionalBase64urlKey(
  name: string,
  bytes: number,
  options: Description,
): Variable<Uint8Array | undefined> {
  return variable(name, { ...options, default: '' }, (value) => (value === '' ? undefined : parseKey(value, bytes)))
}

/** One key, or two comma-separated ones while it is being replaced; the first signs, both verify. */
export function rotatingKey(name: string, bytes: number, options: VariableOptions): Variable<readonly Uint8Array[]> {
  return variable(name, options, (value) => {
    const keys = splitList(value).map((item) => parseKey(item, bytes))
    if (keys.length > 2) throw new Error('must be one key, or two during rotation')
    return keys
  })
}

/** `name=<key>,name=<key>`; a name may stand twice while its key is being replaced, and the first one signs. */
export function keysByName(
  name: string,
  bytes: number,
  options: VariableOptions,
): Variable<ReadonlyMap<string, readonly Uint8Array[]>> {
  return variable(name, options, (value) => {
    const keys = new Map<string, Uint8Array[]>()
    for (const item of splitList(value)) {
      const separator = item.indexOf('=')
      if (separator < 1) throw new Error('must be a comma-separated list of name=key')
      const owner = item.slice(0, separator).trim()
      const known = keys.get(owner) ?? []
      if (known.length === 2) throw new Error(`must give ${owner} one key, or two during rotation`)
      keys.set(owner, [...known, parseKey(item.slice(separator + 1).trim(), bytes)])
    }
    return keys
  })
}

/** A JSON text, given to `read` as it was parsed. Like any value, a wrong one is refused without being repeated. */
export function json<T>(name: string, read: (value: unknown) => T, options: VariableOptions): Variable<T> {
  return variable(name, options, (value) => {
    let parsed: unknown
    try {
      parsed = JSON.parse(value)
    } catch {
      throw new Error('must be JSON')
    }
    return read(parsed)
  })
}

function splitList(value: string): readonly string[] {
  const items = value.split(',').map((item) => item.trim())
  if (items.some((item) => item === '')) throw new Error('must be a comma-separated list without empty items')
  return Object.freeze(items)
}

function parseUrl(value: string, protocols: readonly string[]): string {
  const expected = `must be a URL starting with ${protocols.map((protocol) => `${protocol}://`).join(' or ')}`
  if (!URL.canParse(value)) throw new Error(expected)
  const parsed = new URL(value)
  if (!protocols.includes(parsed.protocol.slice(0, -1))) throw new Error(expected)
  if (parsed.hostname === '') throw new Error('must name a host')
  return value
}

function parseKey(value: string, bytes: number): Uint8Array {
  const expected = `must be ${bytes} bytes in base64url without padding`
  const key = new Uint8Array(Buffer.from(value, 'base64url'))
  // Node's decoder skips what it does not know, so only the text that decodes and encodes to itself is a key.
  if (key.length !== bytes || Buffer.from(key).toString('base64url') !== value) throw new Error(expected)
  return key
}
