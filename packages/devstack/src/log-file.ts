import { open } from 'node:fs/promises'

const TAIL_BYTES = 16_384

/** The last lines of a log file; none when there is no such file. */
export async function lastLines(path: string, linesMax: number): Promise<string[]> {
  const file = await open(path, 'r').catch(() => undefined)
  if (file === undefined) return []
  try {
    const { size } = await file.stat()
    const start = Math.max(0, size - TAIL_BYTES)
    const buffer = Buffer.alloc(size - start)
    await file.read(buffer, 0, buffer.length, start)
    return buffer
      .toString('utf8')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(-linesMax)
  } finally {
    await file.close()
  }
}
