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
