import sharp, { type Sharp } from 'sharp'
import { essentialChunks, framesAtMost, isWholeGif, scansAtMost } from './bounded.ts'
import { formatOf } from './format.ts'
import {
  EDGE_MAX,
  PIXELS_MAX,
  RefusedCrop,
  RefusedPicture,
  SCANS_MAX,
  WEBP_FRAMES_MAX,
  type Crop,
  type RenderedPicture,
  type Rendering,
} from './rendering.ts'

const WEBP_QUALITY = 82

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
 * The picture in each size, as WebP without metadata, and how large the largest is. Its size in pixels is read from the
 * header and refused before anything is decoded; a file that is damaged or ends early is refused whole, but for what is wrong within
 * a frame after the first. Only a process that may be killed calls this: neither its time nor its memory is bounded here.
 *
 * @throws {RefusedPicture}
 * @throws {RefusedCrop}
 */
export async function render<Size extends string>(
  file: Buffer,
  { sizes, fit, crop }: Rendering<Size>,
): Promise<RenderedPicture<Size>> {
  const picture = wholeWithoutBombs(file)
  const open = () => sharp(picture, { limitInputPixels: PIXELS_MAX, failOn: 'error', sequentialRead: true, pages: 1 })
  await refuseTooLarge(open(), picture, crop)
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
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch(refuseDamaged)
  const { width, height, channels } = info
  const rendered = edges.map(async ([name, edge]) => {
    const smaller = resized(sharp(data, { raw: { width, height, channels } }), edge)
    return [name, await smaller.webp({ quality: WEBP_QUALITY }).toBuffer()] as const
  })
  return { pictures: new Map(await Promise.all(rendered)), width, height }
}

/** What would cost a hundred times as much as the picture itself never reaches the decoder, nor does what it would not see to be cut off. */
function wholeWithoutBombs(file: Buffer): Buffer {
  const format = formatOf(file)
  if (format === 'png') return essentialChunks(file) ?? refuseDamaged()
  if (format === 'jpeg' && scansAtMost(file) > SCANS_MAX) throw new RefusedPicture('scans')
  if (format === 'gif' && !isWholeGif(file)) refuseDamaged()
  if (format === 'webp' && framesAtMost(file) > WEBP_FRAMES_MAX) throw new RefusedPicture('frames')
  return file
}

function cut(upright: Sharp, { left, top, size }: Crop): Sharp {
  return upright.extract({ left, top, width: size, height: size })
}

async function refuseTooLarge(opened: Sharp, picture: Buffer, crop: Crop | undefined): Promise<void> {
  const { width, height, format, autoOrient } = await opened.metadata().catch(refuseDamaged)
  if (format !== formatOf(picture)) throw new RefusedPicture('format')
  if (width * height > PIXELS_MAX) throw new RefusedPicture('pixels')
  if (Math.max(width, height) > EDGE_MAX) throw new RefusedPicture('edge')
  if (crop === undefined) return
  if (crop.left + crop.size <= autoOrient.width && crop.top + crop.size <= autoOrient.height) return
  throw new RefusedCrop(autoOrient.width, autoOrient.height)
}

function refuseDamaged(cause?: unknown): never {
  const isTooLarge = cause instanceof Error && cause.message.includes('pixel limit')
  throw new RefusedPicture(isTooLarge ? 'pixels' : 'damaged', { cause })
}
