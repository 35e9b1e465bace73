import type { Form } from './variants.ts'

/** How the length of a body is told. */
export interface Framing {
  readonly name: string
  readonly lines: readonly string[]
  /** `{n}` becomes the variant's number. */
  readonly body: string
  readonly form: Form
  /** Chunks are not known to HTTP/1.0. */
  readonly needs11?: boolean
}

/** Reaches a service only if two parts disagree about where a body ends: nobody is signed in here. */
const SMUGGLED = 'GET /admin/orders/lag?smuggled={n} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: smuggled-{n}\r\n\r\n'
const CHUNKED_SMUGGLED = `0\r\n\r\n${SMUGGLED}`

function sound(name: string, lines: readonly string[], body: string): Framing {
  return { name, lines, body, form: 'sound' }
}

function broken(name: string, lines: readonly string[], body = CHUNKED_SMUGGLED): Framing {
  return { name, lines, body, form: 'broken' }
}

export const framings: readonly Framing[] = [
  sound('length', ['Content-Length: 2', 'Content-Type: application/json'], '{}'),
  sound('no length', ['Content-Length: 0'], ''),
  sound('a request as body', [`Content-Length: ${SMUGGLED.length}`], SMUGGLED),
  { ...sound('chunks', ['Transfer-Encoding: chunked'], '2\r\n{}\r\n0\r\n\r\n'), needs11: true },
  { ...sound('chunks with an extension', ['transfer-encoding: Chunked'], '2;x=1\r\n{}\r\n0\r\n\r\n'), needs11: true },
  { ...sound('chunks and trailer', ['Transfer-Encoding: chunked'], '0\r\nX-Internal-Token: a\r\n\r\n'), needs11: true },
  sound('an underscore instead of chunks', ['Transfer_Encoding: chunked'], ''),
  sound('a pipelined request', [], SMUGGLED),
  sound('an empty line before the next', ['Content-Length: 2'], '{}\r\n'),
  broken('length and chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked']),
  broken('length of all and chunks', [`Content-Length: ${CHUNKED_SMUGGLED.length}`, 'Transfer-Encoding: chunked']),
  broken('no length and chunks', ['Content-Length: 0', 'Transfer-Encoding: chunked'], `5\r\n${SMUGGLED}\r\n0\r\n\r\n`),
  broken('chunks twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']),
  broken('chunks, then identity', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity']),
  broken('a list of codings', ['Transfer-Encoding: identity, chunked']),
  broken('gzip and chunks', ['Transfer-Encoding: gzip, chunked']),
  broken('an unknown coding', ['Transfer-Encoding: xchunked']),
  broken('a quoted coding', ['Transfer-Encoding: "chunked"']),
  broken('a coding with a parameter', ['Transfer-Encoding: chunked;q=1']),
  broken('a coding behind a control character', ['Transfer-Encoding: \x0bchunked', 'Content-Length: 3']),
  broken('a space before the colon', ['Transfer-Encoding : chunked', 'Content-Length: 3']),
  broken('a folded coding', ['Transfer-Encoding:\r\n chunked', 'Content-Length: 3']),
  broken('a line feed alone before chunks', ['X: y\nTransfer-Encoding: chunked', 'Content-Length: 3']),
  broken('two lengths', ['Content-Length: 0', `Content-Length: ${SMUGGLED.length}`], SMUGGLED),
  broken('the same length twice', ['Content-Length: 2', 'Content-Length: 2'], '{}'),
  broken('a list of lengths', ['Content-Length: 2, 2'], '{}'),
  broken('a negative length', ['Content-Length: -1'], ''),
  broken('a signed length', ['Content-Length: +2'], '{}'),
  broken('a hexadecimal length', ['Content-Length: 0x2'], '{}'),
  broken('an empty length', ['Content-Length:'], ''),
  broken('a length beyond all numbers', ['Content-Length: 99999999999999999999'], ''),
  broken('a chunk of no size', ['Transfer-Encoding: chunked'], `zz\r\n${SMUGGLED}`),
  broken('a chunk of a negative size', ['Transfer-Encoding: chunked'], `-1\r\n${SMUGGLED}`),
  broken('a chunk beyond all numbers', ['Transfer-Encoding: chunked'], `fffffffffffffffff\r\n${SMUGGLED}`),
]
