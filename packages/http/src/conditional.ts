import { problems, ProblemError } from '@saas/contracts'

/** Entity tags of a conditional header, without quotes and weakness mark; `'*'` is any. */
export type EntityTags = '*' | readonly string[]

const TAG = /^(?:W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/
const TAGS_MAX = 50

/** `"<version>"`: the strong entity tag (RFC 9110 section 8.8.3) of a version. */
export function etag(version: number | string): string {
  return `"${version}"`
}

/**
 * The tags of `If-Match`, or `undefined` when it was not sent.
 *
 * @throws {ProblemError} `invalid-request` when it is malformed.
 */
export function parseIfMatch(header: string | undefined): EntityTags | undefined {
  return parseTags(header, 'if-match')
}

/**
 * The tags of `If-Match`, which must be there.
 *
 * @throws {ProblemError} `precondition-required` (428) when it was not sent, `invalid-request` when it is malformed.
 */
export function requireIfMatch(header: string | undefined): EntityTags {
  const tags = parseIfMatch(header)
  if (tags === undefined) throw new ProblemError(problems.preconditionRequired)
  return tags
}

/**
 * Whether `If-None-Match` names `current` (as `etag` made it), so that a GET answers 304. Weak comparison.
 *
 * @throws {ProblemError} `invalid-request` when the header is malformed.
 */
export function isNotModified(ifNoneMatch: string | undefined, current: string): boolean {
  const tags = parseTags(ifNoneMatch, 'if-none-match')
  if (tags === undefined) return false
  return tags === '*' || tags.includes(TAG.exec(current)?.[1] ?? current)
}

function parseTags(header: string | undefined, name: string): EntityTags | undefined {
  if (header === undefined) return undefined
  if (header.trim() === '*') return '*'
  const items = header.split(',', TAGS_MAX + 1).map((item) => TAG.exec(item.trim())?.[1])
  const tags = items.filter((item) => item !== undefined)
  if (tags.length !== items.length || items.length > TAGS_MAX) {
    throw new ProblemError(problems.invalidRequest, {
      errors: [{ pointer: `/headers/${name}`, detail: 'must be * or a list of quoted entity tags' }],
    })
  }
  return tags
}
