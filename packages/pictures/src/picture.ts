import type { Readable } from 'node:stream'
import { ProblemError, problems } from '@saas/contracts'
import { Turns } from '@saas/state'
import type sharp from 'sharp'
import type { Sharp } from 'sharp'
import { essentialChunks, framesAtMost, scansAtMost } from './bounded.ts'

const PIXELS_MAX = 24_000_000
const MAGIC_BYTES = 12
const DECODE_SECONDS_MAX = 10
/** Progressive pictures have about ten. Each is a walk over the whole picture, however few bytes it has. */
const SCANS_MAX = 100
/** Only the first is used, but the library looks for each among all that come before it. */
const WEBP_FRAMES_MAX = 1_000
const WEBP_QUALITY = 82
/** A decoded picture of the largest size takes 96 MB. */
const turns = new Turns(2, 16)

/** What every stored picture is. */
export const PICTURE_MEDIA_TYPE = 'image/webp'

/** What a stored picture is answered with: it never changes, and is nothing but a picture. */
export const pictureHeaders = {
  'cache-control': 'public, max-age=31536000, immutable',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'",
  'content-type': PICTURE_MEDIA_TYPE,
} as const

let loaded: Promise<typeof sharp> | undefined

/** Loaded when the first picture comes: it costs 60 ms of a service's start. */
async function loadSharp(): Promise<typeof sharp> {
  loaded ??= import('sharp').then(({ default: library }) => {
    // The decoders of the four formats, and no other: whatever a file claims to be, libvips cannot open it as something else.
    library.block({ operation: ['VipsForeignLoad'] })
    library.unblock({
      operation: [
        'VipsForeignLoadPngBuffer',
        'VipsForeignLoadJpegBuffer',
        'VipsForeignLoadWebpBuffer',
        'VipsForeignLoadNsgifBuffer',
      ],
    })
    library.cache(false)
    return library
  })
  return await loaded
}

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

/** In which sizes a picture is kept. */
export interface Rendering<Size extends string> {
  /** The longest edge of each, in pixels. */
  readonly sizes: Readonly<Record<Size, number>>
  /** Cropped to a square of that edge, or whole and never larger than it came. */
  readonly fit: 'square' | 'whole'
  /** The square that is wanted of it, in pixels of the upright picture; all of it when not given. */
  readonly crop?: Crop | undefined
}

/** A square of a picture, in pixels from its upper left corner, after it was turned upright. */
export interface Crop {
  readonly left: number
  readonly top: number
  readonly size: number
}

/**
 * The picture in each size, as WebP without metadata, and how large the largest is. Its size in pixels is read from the
 * header and refused before anything is decoded; a file that is damaged or ends early is refused whole.
 *
 * @throws {ProblemError} `image-not-accepted`, `invalid-request` for a crop that is not within the picture
 * @throws {Overloaded} when too many are being made already.
 */
export async function renderSizes<Size extends string>(
  file: Buffer,
  { sizes, fit, crop }: Rendering<Size>,
): Promise<{ readonly pictures: ReadonlyMap<Size, Buffer>; readonly width: number; readonly height: number }> {
  const picture = withoutBombs(file)
  const library = await loadSharp()
  return await turns.take(async () => {
    const open = () =>
      library(picture, { limitInputPixels: PIXELS_MAX, failOn: 'error', sequentialRead: true, pages: 1 })
    await refuseTooManyPixels(open(), picture, crop)
    const edges = Object.entries(sizes) as [Size, number][]
    const resized = (source: Sharp, edge: number) =>
      fit === 'square'
        ? source.resize(edge, edge, { fit: 'cover' })
        : source.resize(edge, edge, { fit: 'inside', withoutEnlargement: true })
    const upright = open().autoOrient()
    const { data, info } = await resized(
      crop === undefined ? upright : cut(upright, crop),
      Math.max(...edges.map(([, edge]) => edge)),
    )
      .toColourspace('srgb')
      .timeout({ seconds: DECODE_SECONDS_MAX })
      .raw()
      .toBuffer({ resolveWithObject: true })
      .catch(refuseDamaged)
    const { width, height, channels } = info
    const rendered = edges.map(async ([name, edge]) => {
      const smaller = resized(library(data, { raw: { width, height, channels } }), edge)
      return [name, await smaller.webp({ quality: WEBP_QUALITY }).toBuffer()] as const
    })
    return { pictures: new Map(await Promise.all(rendered)), width, height }
  })
}

/** The decoder's limit of time counts from where it hands out pixels, so what it would do before is bounded here. */
function withoutBombs(file: Buffer): Buffer {
  const format = formatOf(file)
  if (format === 'png') return essentialChunks(file)
  if (format === 'jpeg' && scansAtMost(file) > SCANS_MAX) throw moreThan(SCANS_MAX, 'scans')
  if (format === 'webp' && framesAtMost(file) > WEBP_FRAMES_MAX) throw moreThan(WEBP_FRAMES_MAX, 'frames')
  return file
}

function moreThan(max: number, what: string): ProblemError {
  return new ProblemError(problems.imageNotAccepted, { detail: `The picture has more than ${max} ${what}.` })
}

function cut(upright: Sharp, { left, top, size }: Crop): Sharp {
  return upright.extract({ left, top, width: size, height: size })
}

async function refuseTooManyPixels(opened: Sharp, picture: Buffer, crop: Crop | undefined): Promise<void> {
  const { width, height, format, autoOrient } = await opened.metadata().catch(refuseDamaged)
  if (format !== formatOf(picture)) throw notAPicture()
  if (width * height > PIXELS_MAX) {
    throw new ProblemError(problems.imageNotAccepted, { detail: 'The picture has more than 24 million pixels.' })
  }
  if (crop === undefined) return
  if (crop.left + crop.size <= autoOrient.width && crop.top + crop.size <= autoOrient.height) return
  throw new ProblemError(problems.invalidRequest, {
    errors: [
      {
        pointer: '/query/size',
        detail: `must be within the picture of ${autoOrient.width} by ${autoOrient.height} pixels`,
      },
    ],
  })
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
