import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { OperationFailed } from './operation-failed.ts'

const BLOCK_BYTES = 512
const [FILE, OLD_FILE, FOLDER] = ['0', '\0', '5']

interface Header {
  readonly path: string
  readonly mode: number
  readonly size: number
  readonly type: string
}

/**
 * Unpacks a tar archive as Postgres writes it (POSIX 1003.1 `ustar`: files and folders) into a folder.
 *
 * @throws {OperationFailed} when the archive is cut off, damaged, or has something else in it.
 */
export async function unpackTar(archive: AsyncIterable<Buffer>, folder: string): Promise<{ readonly files: number }> {
  const bytes = new ByteReader(archive)
  for (let files = 0; ;) {
    const block = await bytes.exactly(BLOCK_BYTES)
    // Two empty blocks stand at the end; what follows them is padding.
    if (block.every((byte) => byte === 0)) {
      await bytes.drain()
      return { files }
    }
    const { path, mode, size, type } = headerOf(block)
    const target = join(folder, path)
    if (type === FOLDER) await mkdir(target, { recursive: true, mode })
    else if (type === FILE || type === OLD_FILE) {
      await mkdir(dirname(target), { recursive: true, mode: 0o700 })
      await using file = await open(target, 'wx', mode)
      for await (const part of bytes.upTo(size)) await file.write(part)
      await bytes.exactly((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES)
      files += 1
    } else throw new OperationFailed(`The archive has neither a file nor a folder: ${path}`)
  }
}

function headerOf(block: Buffer): Header {
  const textAt = (start: number, end: number): string => block.toString('utf8', start, end).replace(/\0.*$/s, '')
  const numberAt = (start: number, end: number): number => Number.parseInt(textAt(start, end).trim() || '0', 8)
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0)
  const prefix = textAt(345, 500)
  const path = (prefix === '' ? '' : `${prefix}/`) + textAt(0, 100)
  // Sizes from 8 GiB on are written in binary. Postgres cuts its files at 1 GiB.
  const isBinary = ((block[124] ?? 0) & 0x80) !== 0
  const header = { path, mode: numberAt(100, 108), size: numberAt(124, 136), type: block.toString('latin1', 156, 157) }
  if (
    sum !== numberAt(148, 156) ||
    isBinary ||
    Number.isNaN(header.size) ||
    path.startsWith('/') ||
    path.split('/').includes('..')
  )
    throw new OperationFailed('The archive is damaged: a header is none.')
  return header
}

/** Bytes of an archive in the portions that are asked for. */
class ByteReader {
  readonly #source: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  async exactly(count: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for await (const part of this.upTo(count)) parts.push(part)
    return Buffer.concat(parts)
  }

  async *upTo(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0;) {
      if (this.#rest.length === 0) {
        const { value, done } = await this.#source.next()
        if (done === true) throw new OperationFailed('The archive is cut off.')
        this.#rest = value
        continue
      }
      const part = this.#rest.subarray(0, left)
      this.#rest = this.#rest.subarray(part.length)
      left -= part.length
      yield part
    }
  }

  async drain(): Promise<void> {
    for (;;) if ((await this.#source.next()).done === true) return
  }
}
