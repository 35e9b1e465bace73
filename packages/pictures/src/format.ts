/** As many bytes of a file as say what it is. */
export const MAGIC_BYTES = 12

/** What the first bytes say, in sharp's words. */
export function formatOf(start: Buffer): 'png' | 'jpeg' | 'webp' | 'gif' | undefined {
  const text = start.toString('latin1', 0, MAGIC_BYTES)
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'png'
  if (text.startsWith('\xff\xd8\xff')) return 'jpeg'
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'webp'
  return text.startsWith('GIF87a') || text.startsWith('GIF89a') ? 'gif' : undefined
}
