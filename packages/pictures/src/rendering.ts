/** In which sizes a picture is kept. */
export interface Rendering<Size extends string = string> {
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

/** A picture in each size that was asked for, and how large the largest is. */
export interface RenderedPicture<Size extends string = string> {
  readonly pictures: ReadonlyMap<Size, Buffer>
  readonly width: number
  readonly height: number
}

export const PIXELS_MAX = 24_000_000
/** A picture of a million by 24 pixels takes 1.5 GB to make small, a square one of as many takes 0.1. */
export const EDGE_MAX = 16_384
/** Progressive pictures have about ten. Each is a walk over the whole picture, however few bytes it has. */
export const SCANS_MAX = 100
/** Only the first is used, but the library looks for each among all that come before it. */
export const WEBP_FRAMES_MAX = 1_000

/** Why a picture is refused, as the decoder says it and as whoever sent it is told. */
export const refusals = {
  format: 'The file is not a PNG, JPEG, WebP or GIF picture.',
  damaged: 'The picture is damaged or cut off.',
  pixels: 'The picture has more than 24 million pixels.',
  edge: `The picture is wider or higher than ${EDGE_MAX} pixels.`,
  scans: `The picture has more than ${SCANS_MAX} scans.`,
  frames: `The picture has more than ${WEBP_FRAMES_MAX} frames.`,
  memory: 'The picture takes too much memory to decode. Save it with fewer pixels, or as a plain JPEG.',
  time: 'The picture takes too long to decode. Save it with fewer pixels.',
  died: 'The picture cannot be decoded.',
} as const

export type Refusal = keyof typeof refusals

/** What is asked of the process that decodes; the file is the body of the frame. */
export interface DecoderTask {
  readonly rendering: Rendering
  readonly timeMaxMs: number
  /** Of the whole process, without the programs that it runs: those are in memory once for all. */
  readonly memoryMaxMiB: number
}

/** What it says; the pictures are the body of the frame, one behind the other in the order of `sizes`. */
export type DecoderAnswer = (
  | { readonly sizes: Readonly<Record<string, number>>; readonly width: number; readonly height: number }
  | { readonly refused: Refusal }
  | { readonly refusedCrop: { readonly width: number; readonly height: number } }
) & {
  /** It ends and takes no other picture. */
  readonly isLast?: boolean
}

/** No upload and no three small pictures are nearly as long. */
export const DECODER_FRAME_BYTES_MAX = 32_000_000

/** Thrown where pictures are decoded; what it says is said by the one who asked. */
export class RefusedPicture extends Error {
  readonly refused: Refusal

  constructor(refused: Refusal, options?: ErrorOptions) {
    super(refusals[refused], options)
    this.name = 'RefusedPicture'
    this.refused = refused
  }
}

/** Thrown for a square that is not within the picture, whose size it says. */
export class RefusedCrop extends Error {
  readonly width: number
  readonly height: number

  constructor(width: number, height: number) {
    super(`must be within the picture of ${width} by ${height} pixels`)
    this.name = 'RefusedCrop'
    this.width = width
    this.height = height
  }
}
