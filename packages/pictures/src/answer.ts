import { formatOf } from './format.ts'
import { EDGE_MAX, type DecoderAnswer, type RenderedPicture } from './rendering.ts'

/**
 * The pictures of an answer. Nothing of it is believed: who decodes strangers' files may have been made to say anything.
 *
 * @throws {Error} for what is no answer to what was asked.
 */
export function picturesIn<Size extends string>(
  answer: Extract<DecoderAnswer, { sizes: unknown }>,
  body: Buffer,
  sizes: readonly Size[],
): RenderedPicture<Size> {
  const { width, height } = answer
  let at = 0
  const pictures = new Map(
    sizes.map((size) => {
      const end = at + Math.max(0, answer.sizes[size] ?? 0)
      const picture = body.subarray(at, end)
      if (formatOf(picture) !== 'webp') throw new Error('The decoder answered what is no picture')
      at = end
      return [size, picture]
    }),
  )
  if (!isEdge(width) || !isEdge(height)) throw new Error('The decoder answered no size')
  return { pictures, width, height }
}

function isEdge(pixels: number): boolean {
  return Number.isInteger(pixels) && pixels >= 1 && pixels <= EDGE_MAX
}
