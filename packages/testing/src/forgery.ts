import {
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  randomUUID,
  sign,
  type KeyObject,
} from 'node:crypto'
import type { TestDatabase } from './database.ts'
import { eventually } from './eventually.ts'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** The key that access tokens are signed with now, as only KEY_ENCRYPTION_KEY opens the key that opens it. */
export interface SigningKey {
  readonly id: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** Opens the key that signs at `now`. Auth's rules for keys are in its `signing-keys.ts`. */
export async function currentSigningKey(
  database: Pick<TestDatabase, 'query'>,
  keyEncryptionKey: Uint8Array,
  now?: Date,
): Promise<SigningKey> {
  const { id, sealed, dataKey } = await eventually(async () => {
    const [row] = await database.query<{ id: string; sealed: Buffer; dataKey: Buffer }>(
      `select id, sealed_private_key as sealed, data_key.sealed as "dataKey"
       from signing_key cross join data_key
       where signs_from <= $1 and signs_until > $1`,
      // Auth may be about to make it.
      [now ?? new Date()],
    )
    if (row === undefined) throw new Error('There is no key that signs')
    return row
  })
  const opened = unsealed(keyEncryptionKey, 'data key', dataKey)
  const sealingKey = Buffer.from(hkdfSync('sha256', opened, '', 'saas auth signing key', KEY_BYTES))
  const key = unsealed(sealingKey, id, sealed)
  const privateKey = createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  return { id, privateKey, publicKey: createPublicKey(privateKey) }
}

function unsealed(key: Uint8Array, belongsTo: string, sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES))
    .setAAD(Buffer.from(belongsTo))
    .setAuthTag(sealed.subarray(-TAG_BYTES))
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
}

/** A key that nobody was told of. */
export function strangersKey(): KeyObject {
  return generateKeyPairSync('ed25519').privateKey
}

/** The parts of a JWT as JSON text, so that a test can write what no library would. */
export interface Written {
  readonly header: string
  readonly payload: string
}

/** UTF-8, without padding. */
export function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}

/** Signs the two texts as they are. */
export function signedBy(key: KeyObject, { header, payload }: Written): string {
  const signed = `${base64url(header)}.${base64url(payload)}`
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`
}

/** An access token as auth makes them, but for what is changed; `undefined` leaves a member out. */
export function accessToken(
  key: Pick<SigningKey, 'id' | 'privateKey'>,
  issuer: string,
  changed: { readonly header?: object; readonly claims?: object; readonly now?: Date } = {},
): string {
  const { header, payload } = accessTokenTexts(key.id, issuer, changed)
  return signedBy(key.privateKey, { header, payload })
}

/** The two texts of an access token, before they are signed. */
export function accessTokenTexts(
  keyId: string,
  issuer: string,
  changed: { readonly header?: object; readonly claims?: object; readonly now?: Date } = {},
): Written {
  const now = Math.floor((changed.now ?? new Date()).getTime() / 1_000)
  const header = { alg: 'EdDSA', typ: 'at+jwt', kid: keyId, ...changed.header }
  const claims = {
    client_id: 'shop',
    sid: randomUUID(),
    sv: 1,
    roles: ['customer'],
    iss: issuer,
    aud: issuer,
    sub: randomUUID(),
    jti: randomUUID(),
    iat: now,
    exp: now + 300,
    ...changed.claims,
  }
  return { header: JSON.stringify(header), payload: JSON.stringify(claims) }
}

/** The claims of a token, unverified. */
export function claimsOf(token: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>
}
