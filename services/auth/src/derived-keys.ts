import { createHash, createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'

const KEY_BYTES = 32

/** Keys for one purpose each, made from the data key (HKDF-SHA-256, RFC 5869), so that only one is kept. */
export interface DerivedKeys {
  /** Mailed codes at rest. */
  readonly mailedCode: Uint8Array
  /** A refresh token's child. */
  readonly refreshChild: Uint8Array
  /** Marks refresh tokens as ours, so that an old one is told from an invented one without keeping it. */
  readonly refreshMark: Uint8Array
  /** Addresses that are counted or tried, known or not. */
  readonly lookup: Uint8Array
  /** Secrets of authenticator apps, and of sign-ins that are at a provider. */
  readonly factor: Uint8Array
  /** Recovery codes at rest. */
  readonly recoveryCode: Uint8Array
  /** Private halves of signing keys. */
  readonly signingKey: Uint8Array
}

export function deriveKeys(dataKey: Uint8Array): DerivedKeys {
  const derive = (purpose: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', dataKey, '', `saas auth ${purpose}`, KEY_BYTES))
  return {
    mailedCode: derive('mailed code'),
    refreshChild: derive('refresh child'),
    refreshMark: derive('refresh mark'),
    lookup: derive('lookup'),
    factor: derive('factor'),
    recoveryCode: derive('recovery code'),
    signingKey: derive('signing key'),
  }
}

/** By their bytes' array: preparing a key anew for each use costs five times what the use does. */
const prepared = new WeakMap<Uint8Array, KeyObject>()

export function hmac(key: Uint8Array, ...parts: readonly (string | Uint8Array)[]): Buffer {
  const known = prepared.get(key) ?? createSecretKey(key)
  prepared.set(key, known)
  const mac = createHmac('sha256', known)
  // Each part is preceded by its length, so that no two lists of parts read alike. Texts go in together: each update is a call.
  let text = ''
  for (const part of parts) {
    text += `${part.length}:`
    if (typeof part === 'string') text += part
    else {
      mac.update(text).update(part)
      text = ''
    }
  }
  return mac.update(text).digest()
}

export function sha256(value: string | Uint8Array): Buffer {
  return createHash('sha256').update(value).digest()
}
