const ADDRESS_LENGTH_MAX = 254
const LOCAL_LENGTH_MAX = 64

// One mailbox and nothing else: no display name, list, comment, quote, space or control character. The contract's
// schema refuses most of it already; this is what stands right before the header.
const ADDRESS = /^[^\p{Cc}\p{Cf}\s"(),:;<>@[\\\]]+@[^\p{Cc}\p{Cf}\s"(),:;<>@[\\\]]+$/u

/** Whether a text is an address that can stand in a header and an envelope as it is. */
export function isMailAddress(text: string): boolean {
  return text.length <= ADDRESS_LENGTH_MAX && text.indexOf('@') <= LOCAL_LENGTH_MAX && ADDRESS.test(text)
}

/** A text on one line: whatever could break a header line becomes a space. */
export function singleLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim()
}
