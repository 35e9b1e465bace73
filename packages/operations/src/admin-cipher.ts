import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes } from 'node:crypto'

const SALT_BYTES = 32
const NONCE_BYTES = 8
const KEY_BYTES = 32
const TAG_BYTES = 16
const PBKDF2_ITERATIONS = 8_192
/** PBKDF2-SHA256 and AES-256-GCM: of the three ways one that Node has without native code. */
const PBKDF2_AES_GCM = 2
const FRAGMENT_BYTES_MAX = 16_384
const LAST_FRAGMENT = 0x80

/**
 * What MinIO's administrative API wants passwords wrapped in (`EncryptData` of its client madmin-go): salt, algorithm, nonce, and one
 * fragment of sio-go. Throws when the data does not fit into one.
 */
export function encryptForAdmin(secretKey: string, data: Buffer): Buffer {
  if (data.length > FRAGMENT_BYTES_MAX) throw new Error('The data is longer than a fragment')
  const salt = randomBytes(SALT_BYTES)
  const nonce = randomBytes(NONCE_BYTES)
  const key = pbkdf2Sync(secretKey, salt, PBKDF2_ITERATIONS, KEY_BYTES, 'sha256')
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(nonce, 1)).setAAD(associatedData(key, nonce))
  const sealed = Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()])
  return Buffer.concat([salt, Buffer.of(PBKDF2_AES_GCM), nonce, sealed])
}

/** The reverse, to check the one against the other. Throws when it was changed or the key is another. */
export function decryptFromAdmin(secretKey: string, wrapped: Buffer): Buffer {
  const salt = wrapped.subarray(0, SALT_BYTES)
  const nonce = wrapped.subarray(SALT_BYTES + 1, SALT_BYTES + 1 + NONCE_BYTES)
  const sealed = wrapped.subarray(SALT_BYTES + 1 + NONCE_BYTES)
  const key = pbkdf2Sync(secretKey, salt, PBKDF2_ITERATIONS, KEY_BYTES, 'sha256')
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(nonce, 1), { authTagLength: TAG_BYTES })
    .setAAD(associatedData(key, nonce))
    .setAuthTag(sealed.subarray(-TAG_BYTES))
  return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()])
}

/** Whether this is the last fragment, and the tag of an empty message under the first nonce. */
function associatedData(key: Buffer, nonce: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(nonce, 0))
  cipher.final()
  return Buffer.concat([Buffer.of(LAST_FRAGMENT), cipher.getAuthTag()])
}

function nonceOf(nonce: Buffer, sequence: number): Buffer {
  const counter = Buffer.alloc(4)
  counter.writeUInt32LE(sequence)
  return Buffer.concat([nonce, counter])
}
