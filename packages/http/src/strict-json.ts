import { problems, ProblemError, type FieldError } from '@saas/contracts'
import { JSON_DEPTH_MAX } from './limits.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Parses a JSON body as strictly as Postgres will need it.
 *
 * Text that is not UTF-8 or not JSON is `malformed-body`, with the position of the first wrong character. Strings
 * with U+0000 or a lone surrogate (Postgres stores neither), a field named `__proto__` and nesting beyond
 * JSON_DEPTH_MAX are `invalid-request` with a pointer.
 *
 * @throws {ProblemError}
 */
export function parseStrictJson(body: Uint8Array): unknown {
  let text: string
  try {
    text = utf8.decode(body)
  } catch {
    throw new ProblemError(problems.malformedBody, { detail: 'The body is not UTF-8.' })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new ProblemError(problems.malformedBody, {
      detail: `The body is not valid JSON from character ${malformedAt(text)} on.`,
    })
  }
  const refused = findRefused(value, 0)
  if (refused !== undefined) throw new ProblemError(problems.invalidRequest, { errors: [refused] })
  return value
}

/** Why a text cannot be stored, or `undefined` when it can. */
export function refusedText(value: string): string | undefined {
  if (value.includes('\u0000')) return 'must not contain the character U+0000'
  return value.isWellFormed() ? undefined : 'must not contain a lone surrogate'
}

/** A name as one part of a JSON pointer (RFC 6901). */
export function pointerPart(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** The first place that is refused. Its pointer is put together on the way back, so that a good body costs none. */
function findRefused(value: unknown, depth: number): FieldError | undefined {
  if (typeof value === 'string') {
    const detail = refusedText(value)
    return detail === undefined ? undefined : { pointer: '', detail }
  }
  if (typeof value !== 'object' || value === null) return undefined
  if (depth === JSON_DEPTH_MAX) {
    return { pointer: '', detail: `must not be nested deeper than ${JSON_DEPTH_MAX} levels` }
  }
  for (const name of Object.keys(value)) {
    const detail = refusedText(name)
    if (detail !== undefined) return { pointer: '', detail: `has a name that ${detail}` }
    const refused =
      name === '__proto__'
        ? { pointer: '', detail: 'is a name that is not accepted' }
        : findRefused((value as Record<string, unknown>)[name], depth + 1)
    if (refused !== undefined) return { ...refused, pointer: `/${pointerPart(name)}${refused.pointer}` }
  }
  return undefined
}

const TOKEN =
  /[\t\n\r ]*(?:"(?:[ !#-[\]-\u{10ffff}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:])/uy

/**
 * The offset of the first character that cannot belong to the JSON text, its length when it was cut off. V8 says the
 * position in some of its messages only, so the error path looks again: token by token, for what may follow.
 */
function malformedAt(text: string): number {
  const open: string[] = []
  let expected = 'value'
  TOKEN.lastIndex = 0
  for (;;) {
    const start = skipSpace(text, TOKEN.lastIndex)
    TOKEN.lastIndex = start
    const token = TOKEN.exec(text)?.[0]
    if (token === undefined) return start
    const next = follow(token, expected, open)
    if (next === undefined) return start
    expected = next
  }
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (at < text.length && ' \t\n\r'.includes(text.charAt(at))) at += 1
  return at
}

/** What may come after `token`, or `undefined` when `token` may not stand here. */
function follow(token: string, expected: string, open: string[]): string | undefined {
  const inside = open.at(-1)
  const closes = (expected === 'separator' || expected === `${token} or more`) && token === inside
  if (token === '}' || token === ']') {
    if (!closes) return undefined
    open.pop()
    return open.length === 0 ? 'end' : 'separator'
  }
  if (expected === 'end') return undefined
  if (expected === 'separator') return token === ',' ? (inside === '}' ? 'name' : 'value') : undefined
  if (expected === 'colon') return token === ':' ? 'value' : undefined
  if (expected === 'name' || expected === '} or more') return token.startsWith('"') ? 'colon' : undefined
  if (token === '{' || token === '[') {
    open.push(token === '{' ? '}' : ']')
    return `${open.at(-1)} or more`
  }
  if (token === ',' || token === ':') return undefined
  return open.length === 0 ? 'end' : 'separator'
}
