/** What a decoder needs of a PNG, once each beside its IDAT chunks, and how colours and turning are said. */
const keptChunks: ReadonlySet<string> = new Set([
  'IHDR',
  'PLTE',
  'tRNS',
  'gAMA',
  'cHRM',
  'sRGB',
  'iCCP',
  'eXIf',
  'IEND',
])
const PNG_SIGNATURE_BYTES = 8
const CHUNK_LENGTH_BYTES = 4
/** Length, type and checksum. */
const CHUNK_FRAME_BYTES = 12

/** What every PNG ends with: a chunk of nothing with its checksum. The decoder has all pixels before it and does not look. */
const PNG_END = Buffer.from('0000000049454e44ae426082', 'hex')

const GIF_HEADER_BYTES = 13
const GIF_IMAGE_BYTES = 10
const GIF_EXTENSION_BYTES = 2
const GIF_EXTENSION = 0x21
const GIF_IMAGE = 0x2c
const GIF_END = 0x3b

const SCAN_MARKER = Buffer.from([0xff, 0xda])
const FRAME_CHUNK = Buffer.from('ANMF')

/**
 * The PNG without chunks that nothing of the picture needs. A text of a few kilobytes unpacks to megabytes, hundreds fit into
 * a file, and the library unpacks all of them to read the size of the picture. `undefined` when its end is missing.
 */
export function essentialChunks(png: Buffer): Buffer | undefined {
  const parts = [png.subarray(0, PNG_SIGNATURE_BYTES)]
  const seen = new Set<string>()
  for (let at = PNG_SIGNATURE_BYTES; at + CHUNK_FRAME_BYTES <= png.length && !seen.has('IEND');) {
    const typeAt = at + CHUNK_LENGTH_BYTES
    const type = png.toString('latin1', typeAt, typeAt + CHUNK_LENGTH_BYTES)
    // A chunk that says more than there is reaches to the end, and the decoder refuses the file.
    const end = at + CHUNK_FRAME_BYTES + png.readUInt32BE(at)
    if (type === 'IDAT' || (keptChunks.has(type) && !seen.has(type))) parts.push(png.subarray(at, end))
    seen.add(type)
    at = end
  }
  return parts.at(-1)?.equals(PNG_END) === true ? Buffer.concat(parts) : undefined
}

/**
 * Whether the GIF has all its frames and its end. The decoder looks at the first frame only, and a file that was cut off behind that one
 * would be another picture than the one that was meant.
 */
export function isWholeGif(gif: Buffer): boolean {
  const colours = (at: number): number => {
    const flags = gif[at] ?? 0
    return flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0
  }
  // Data stands in blocks of at most 255 bytes, each behind its length, the last of length 0.
  const afterBlocks = (from: number): number => {
    let at = from
    for (let length = gif[at] ?? 0; length > 0; length = gif[at] ?? 0) at += 1 + length
    return at + 1
  }
  for (let at = GIF_HEADER_BYTES + colours(10); at < gif.length;) {
    const kind = gif[at]
    if (kind === GIF_END) return true
    if (kind === GIF_EXTENSION) at = afterBlocks(at + GIF_EXTENSION_BYTES)
    // Behind the colours stands one byte about the codes of the pixels.
    else if (kind === GIF_IMAGE) at = afterBlocks(at + GIF_IMAGE_BYTES + colours(at + GIF_IMAGE_BYTES - 1) + 1)
    else return false
  }
  return false
}

/** How many scans the JPEG has at most: what looks like the start of one may stand in other data as well. */
export function scansAtMost(jpeg: Buffer): number {
  return occurrences(jpeg, SCAN_MARKER)
}

/** How many frames the animated WebP has at most, in the same way. */
export function framesAtMost(webp: Buffer): number {
  return occurrences(webp, FRAME_CHUNK)
}

function occurrences(file: Buffer, sought: Buffer): number {
  let count = 0
  for (let at = file.indexOf(sought); at >= 0; at = file.indexOf(sought, at + sought.length)) count += 1
  return count
}
