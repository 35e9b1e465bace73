import { randomBytes, timingSafeEqual } from 'node:crypto'
import { parse as parseUuid, stringify as formatUuid } from 'uuid'
import { hmac, sha256, type DerivedKeys } from './derived-keys.ts'

const ID_BYTES = 16
const SECRET_BYTES = 32
const MARK_BYTES = 16
const TOKEN_BYTES = ID_BYTES + SECRET_BYTES + MARK_BYTES

/** How long a token that was exchanged is answered again although its child was used already. */
const PARENT_GRACE_MS = 10_000

/**
 * A refresh token: the session's id, a secret, and a mark that only we can make. The mark tells an old token, whose
 * replay ends the session, from an invented one, which must not: session ids are no secret. Nor does an invented one
 * cost more than looking at its mark.
 */
export interface RefreshToken {
  readonly sessionId: string
  readonly secret: Buffer
}

export function newSecret(): Buffer {
  return randomBytes(SECRET_BYTES)
}

/** The one child of a token. Asked twice for it, we give the same one, so that a lost answer logs nobody out. */
export function childOf(secret: Uint8Array, keys: DerivedKeys): Buffer {
  return hmac(keys.refreshChild, secret)
}

export function writeRefreshToken(sessionId: string, secret: Uint8Array, keys: DerivedKeys): string {
  const id = parseUuid(sessionId)
  return Buffer.concat([id, secret, markOf(id, secret, keys)]).toString('base64url')
}

/** `undefined` for what is none of ours. */
export function readRefreshToken(text: string, keys: DerivedKeys): RefreshToken | undefined {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length !== TOKEN_BYTES) return undefined
  const id = bytes.subarray(0, ID_BYTES)
  const secret = bytes.subarray(ID_BYTES, ID_BYTES + SECRET_BYTES)
  if (!timingSafeEqual(bytes.subarray(ID_BYTES + SECRET_BYTES), markOf(id, secret, keys))) return undefined
  return { sessionId: formatUuid(id), secret }
}

function markOf(id: Uint8Array, secret: Uint8Array, keys: DerivedKeys): Buffer {
  return hmac(keys.refreshMark, id, secret).subarray(0, MARK_BYTES)
}

/** The tokens of a session as its row has them: hashes of the newest and of the two before it. */
export interface TokenChain {
  readonly tokenHash: Uint8Array
  readonly parentHash: Uint8Array | null
  readonly parentExchangedAt: Date | null
  readonly grandparentHash: Uint8Array | null
  readonly grandparentExchangedAt: Date | null
}

export type RefreshVerdict = 'newest' | 'again' | 'replay'

/**
 * What a presented token is: the newest, which is exchanged; one that is answered again; or one whose replay ends
 * the session.
 *
 * The direct parent's child is unseen, or the child would have become a parent itself. A token one step older counts as
 * the parent it was for ten seconds: two tabs may have refreshed at once.
 */
export function judgeRefresh(chain: TokenChain, token: RefreshToken, now: Date): RefreshVerdict {
  const hash = sha256(token.secret)
  if (hash.equals(chain.tokenHash)) return 'newest'
  if (chain.parentHash !== null && hash.equals(chain.parentHash)) return 'again'
  if (chain.grandparentHash === null || !hash.equals(chain.grandparentHash)) return 'replay'
  const exchangedAt = chain.grandparentExchangedAt?.getTime() ?? 0
  return now.getTime() - exchangedAt <= PARENT_GRACE_MS ? 'again' : 'replay'
}
