import { compactDecrypt } from 'jose'
import { MailSecret } from '@saas/contracts'
import { valueChecker } from '@saas/http'

const findingsIn = valueChecker(MailSecret)

/**
 * Opens what auth sealed: a compact JWE, `dir` and `A256GCM` and nothing else.
 *
 * @param accepted The key that is about to be used, or was, while the other is being replaced.
 * @throws {Error} when it was sealed with neither key, changed on its way, or holds something else. The message
 *   never has any of it.
 */
export async function openSecret(sealed: string, key: Uint8Array, accepted = key): Promise<MailSecret> {
  const plaintext = await decrypted(sealed, key).catch(async () => await decrypted(sealed, accepted))
  let secret: unknown
  try {
    secret = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(plaintext))
  } catch {
    throw new Error('The sealed text is not JSON')
  }
  if (findingsIn(secret).length > 0) throw new Error('The sealed text is not a mail secret')
  return secret as MailSecret
}

async function decrypted(sealed: string, key: Uint8Array): Promise<Uint8Array> {
  const { plaintext } = await compactDecrypt(sealed, key, {
    keyManagementAlgorithms: ['dir'],
    contentEncryptionAlgorithms: ['A256GCM'],
  })
  return plaintext
}
