/** Of a message's body, as operators are shown it. An order of 100 lines has 10 kB. */
export const BODY_SHOWN_BYTES_MAX = 16_384
/** Nesting that is shown as JSON. A stranger chose it, and writing JSON down takes a call for each level. */
const DEPTH_SHOWN_MAX = 32

/**
 * A body as JSON, or as the text it is: when it is no JSON, is nested deeper than 32 levels, or `isCut`. What is no UTF-8 in it is U+FFFD,
 * but for a character that was cut in two, which is left out.
 */
export function shownBody(body: Uint8Array, isCut: boolean): unknown {
  const text = new TextDecoder().decode(body, { stream: isCut })
  if (isCut) return text
  try {
    const value: unknown = JSON.parse(text)
    return isNestedDeeper(value, DEPTH_SHOWN_MAX) ? text : value
  } catch {
    return text
  }
}

function isNestedDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((inner) => isNestedDeeper(inner, levels - 1))
}
