/** Safari on a phone begins to read only after the click, and may have asked before: until then the file has to be there. */
const READ_WITHIN_MS = 60_000

/** Gives the browser a file to keep. */
export function keepFile(file: Blob, name: string): void {
  const url = URL.createObjectURL(file)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), READ_WITHIN_MS)
}
