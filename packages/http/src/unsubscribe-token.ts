import { optionalMailKinds, type OptionalMailKind } from '@saas/contracts'
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

const KEY_BYTES = 32
const TOKEN = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([a-z-]{1,32})\.([A-Za-z0-9_-]{43})$/

/** Who no longer wants which mails. */
export interface Unsubscription {
  readonly userId: string
  readonly kind: OptionalMailKind
}

/**
 * The token of an unsubscribe link: `<user id>.<kind>.<HMAC-SHA-256>`, at most 115 characters that need no encoding in a
 * path. It is stateless and never expires, because a mail may be years old when somebody has enough of its kind (RFC 8058);
 * it proves nothing but that we mailed it, and is good for nothing but switching this kind off.
 *
 * @param mailSecretKey MAIL_SECRET_KEY; the key of these tokens is derived from it, so that one says nothing about the other.
 */
export function signUnsubscribe({ userId, kind }: Unsubscription, mailSecretKey: Uint8Array): string {
  const signed = `${userId.toLowerCase()}.${kind}`
  return `${signed}.${hmac(signed, mailSecretKey)}`
}

/** What a token says, or `undefined` for anything that `signUnsubscribe` did not make with this key. */
export function verifyUnsubscribe(token: string, mailSecretKey: Uint8Array): Unsubscription | undefined {
  const [, userId = '', kindGiven, given = ''] = TOKEN.exec(token) ?? []
  const kind = optionalMailKinds.find((known) => known === kindGiven)
  if (kind === undefined) return undefined
  const expected = hmac(`${userId}.${kind}`, mailSecretKey)
  // Both have 43 characters; the texts are compared, because the last character has spare bits.
  return timingSafeEqual(Buffer.from(given), Buffer.from(expected)) ? { userId, kind } : undefined
}

const derivedKeys = new WeakMap<Uint8Array, Uint8Array>()

function hmac(text: string, mailSecretKey: Uint8Array): string {
  let key = derivedKeys.get(mailSecretKey)
  if (key === undefined) {
    key = new Uint8Array(hkdfSync('sha256', mailSecretKey, '', 'saas unsubscribe', KEY_BYTES))
    derivedKeys.set(mailSecretKey, key)
  }
  return createHmac('sha256', key).update(text).digest('base64url')
}
