import type { Readable } from 'node:stream'
import { avatarSizes, ProblemError, problems } from '@saas/contracts'
import sharp, { type Sharp } from 'sharp'
import { Turns } from './turns.ts'

const PIXELS_MAX = 24_000_000
const MAGIC_BYTES = 12
const DECODE_SECONDS_MAX = 10
const WEBP_QUALITY = 82
/** A decoded picture of the largest size takes 96 MB. */
const turns = new Turns(2, 16)

export type AvatarSize = keyof typeof avatarSizes
const sizes = Object.entries(avatarSizes) as [AvatarSize, number][]

// The decoders of the four formats, and no other: whatever a file claims to be, libvips cannot open it as something else.
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({
  operation: [
    'VipsForeignLoadPngBuffer',
    'VipsForeignLoadJpegBuffer',
    'VipsForeignLoadWebpBuffer',
    'VipsForeignLoadNsgifBuffer',
  ],
})
sharp.cache(false)

/**
 * Reads an upload to its end. What does not begin like a PNG, JPEG, WebP or GIF file is refused after its first bytes.
 *
 * @throws {ProblemError} `image-not-accepted`; the stream fails by itself when it is too long.
 */
export async function readPicture(upload: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of upload as AsyncIterable<Buffer>) {
    const isStart = bytes < MAGIC_BYTES
    chunks.push(chunk)
    bytes += chunk.length
    if (isStart && bytes >= MAGIC_BYTES && formatOf(Buffer.concat(chunks)) === undefined) throw notAPicture()
  }
  const picture = Buffer.concat(chunks)
  if (formatOf(picture) === undefined) throw notAPicture()
  return picture
}

/**
 * The picture in each size, cropped to a square, as WebP without metadata. Its size in pixels is read from the header and
 * refused before anything is decoded; a file that is damaged or ends early is refused whole.
 *
 * @throws {ProblemError} `image-not-accepted`
 */
export async function renderSizes(picture: Buffer): Promise<ReadonlyMap<AvatarSize, Buffer>> {
  return await turns.take(async () => {
    await refuseTooManyPixels(picture)
    const largest = Math.max(...sizes.map(([, edge]) => edge))
    const { data, info } = await open(picture)
      .autoOrient()
      .resize(largest, largest, { fit: 'cover' })
      .toColourspace('srgb')
      .timeout({ seconds: DECODE_SECONDS_MAX })
      .raw()
      .toBuffer({ resolveWithObject: true })
      .catch(refuseDamaged)
    const { width, height, channels } = info
    const rendered = sizes.map(async ([name, edge]) => {
      const square = sharp(data, { raw: { width, height, channels } }).resize(edge, edge)
      return [name, await square.webp({ quality: WEBP_QUALITY }).toBuffer()] as const
    })
    return new Map(await Promise.all(rendered))
  })
}

async function refuseTooManyPixels(picture: Buffer): Promise<void> {
  const { width, height, format } = await open(picture).metadata().catch(refuseDamaged)
  if (format !== formatOf(picture)) throw notAPicture()
  if (width * height > PIXELS_MAX) {
    throw new ProblemError(problems.imageNotAccepted, { detail: 'The picture has more than 24 million pixels.' })
  }
}

function open(picture: Buffer): Sharp {
  return sharp(picture, { limitInputPixels: PIXELS_MAX, failOn: 'error', sequentialRead: true, pages: 1 })
}

/** What the first bytes say, in sharp's words. */
function formatOf(start: Buffer): 'png' | 'jpeg' | 'webp' | 'gif' | undefined {
  const text = start.toString('latin1', 0, MAGIC_BYTES)
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'png'
  if (text.startsWith('\xff\xd8\xff')) return 'jpeg'
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'webp'
  return text.startsWith('GIF87a') || text.startsWith('GIF89a') ? 'gif' : undefined
}

function notAPicture(): ProblemError {
  return new ProblemError(problems.imageNotAccepted, { detail: 'The file is not a PNG, JPEG, WebP or GIF picture.' })
}

function refuseDamaged(cause: unknown): never {
  const isTooLarge = cause instanceof Error && cause.message.includes('pixel limit')
  const detail = isTooLarge ? 'The picture has more than 24 million pixels.' : 'The picture is damaged or cut off.'
  throw new ProblemError(problems.imageNotAccepted, { detail, cause })
}
