import { inflateRawSync } from 'node:zlib'

const END_SIGNATURE = 0x06054b50
const END_BYTES = 22
const COMMENT_BYTES_MAX = 65_535
const ENTRY_BYTES = 46
const LOCAL_BYTES = 30
const DEFLATED = 8

/**
 * One file of a zip archive, so that no unzip program is needed. Throws when it is not there. Structure after PKWARE's
 * APPNOTE 4.3: the directory stands at the end, and its own end names where it begins.
 */
export function fileOfZip(archive: Buffer, path: string): Buffer {
  const end = endOfDirectory(archive)
  let entry = archive.readUInt32LE(end + 16)
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    const nameBytes = archive.readUInt16LE(entry + 28)
    if (archive.toString('utf8', entry + ENTRY_BYTES, entry + ENTRY_BYTES + nameBytes) === path) {
      const local = archive.readUInt32LE(entry + 42)
      const begin = local + LOCAL_BYTES + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28)
      const content = archive.subarray(begin, begin + archive.readUInt32LE(entry + 20))
      return archive.readUInt16LE(entry + 10) === DEFLATED ? inflateRawSync(content) : content
    }
    entry += ENTRY_BYTES + nameBytes + archive.readUInt16LE(entry + 30) + archive.readUInt16LE(entry + 32)
  }
  throw new Error(`the archive has no ${path}`)
}

function endOfDirectory(archive: Buffer): number {
  const first = Math.max(0, archive.length - END_BYTES - COMMENT_BYTES_MAX)
  for (let at = archive.length - END_BYTES; at >= first; at -= 1) {
    if (archive.readUInt32LE(at) === END_SIGNATURE) return at
  }
  throw new Error('this is not a zip archive')
}
