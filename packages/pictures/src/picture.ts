import type { Readable } from 'node:stream'
import { ProblemError, problems } from '@saas/contracts'
import { formatOf, MAGIC_BYTES } from './format.ts'
import { refusals } from './rendering.ts'

/** What every stored picture is. */
export const PICTURE_MEDIA_TYPE = 'image/webp'

/** What a stored picture is answered with: it never changes, and is nothing but a picture. */
export const pictureHeaders = {
  'cache-control': 'public, max-age=31536000, immutable',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'",
  'content-type': PICTURE_MEDIA_TYPE,
} as const

/**
 * Reads an upload to its end and says of each piece how long it is. What does not begin like a PNG, JPEG, WebP or GIF file is refused
 * after its first bytes.
 *
 * @throws {ProblemError} `image-not-accepted`; the stream fails by itself when it is too long.
 */
export async function readPicture(upload: Readable, hold: (bytes: number) => void): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of upload as AsyncIterable<Buffer>) {
    const isStart = bytes < MAGIC_BYTES
    hold(chunk.length)
    chunks.push(chunk)
    bytes += chunk.length
    if (isStart && bytes >= MAGIC_BYTES && formatOf(Buffer.concat(chunks)) === undefined) throw notAPicture()
  }
  const picture = Buffer.concat(chunks)
  if (formatOf(picture) === undefined) throw notAPicture()
  return picture
}

function notAPicture(): ProblemError {
  return new ProblemError(problems.imageNotAccepted, { detail: refusals.format })
}
