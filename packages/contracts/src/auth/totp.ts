/** RFC 6238 with what every authenticator app understands: SHA-1, six digits, steps of thirty seconds. */
const TOTP_STEP_SECONDS = 30
const TOTP_DIGITS = 6

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const BITS_A_CHARACTER = 5

/** The step that a moment is in. */
export function totpStepAt(now: Date): number {
  return Math.floor(now.getTime() / 1_000 / TOTP_STEP_SECONDS)
}

/** The code of one step (RFC 4226 section 5.3). @throws {RangeError} for a secret that is not base32. */
export async function totpCode(secret: string, step: number): Promise<string> {
  const algorithm = { name: 'HMAC', hash: 'SHA-1' }
  const key = await crypto.subtle.importKey('raw', readBase32(secret), algorithm, false, ['sign'])
  const counter = new DataView(new ArrayBuffer(8))
  counter.setBigUint64(0, BigInt(step))
  const mac = new DataView(await crypto.subtle.sign('HMAC', key, counter))
  const offset = mac.getUint8(mac.byteLength - 1) & 0x0f
  const number = mac.getUint32(offset) & 0x7fff_ffff
  return String(number % 10 ** TOTP_DIGITS).padStart(TOTP_DIGITS, '0')
}

/** What an authenticator app reads from a QR code. */
export function otpauthUri(secret: string, issuer: string, account: string): string {
  const parameters = `secret=${secret}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=${TOTP_DIGITS}`
  return `otpauth://totp/${encodeURIComponent(issuer)}:${encodeURIComponent(account)}?${parameters}&period=${TOTP_STEP_SECONDS}`
}

/** Base32 without padding (RFC 4648 section 6), as people can type it. */
export function writeBase32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const groups = bits.match(new RegExp(`.{1,${BITS_A_CHARACTER}}`, 'g')) ?? []
  return groups.map((group) => ALPHABET[Number.parseInt(group.padEnd(BITS_A_CHARACTER, '0'), 2)]).join('')
}

function readBase32(text: string): Uint8Array<ArrayBuffer> {
  const bits = Array.from(text, (character) => {
    const value = ALPHABET.indexOf(character)
    if (value < 0) throw new RangeError('The secret is not base32.')
    return value.toString(2).padStart(BITS_A_CHARACTER, '0')
  })
  const bytes = bits.join('').match(/.{8}/g) ?? []
  return new Uint8Array(bytes.map((byte) => Number.parseInt(byte, 2)))
}
