import type { CustomFetch } from 'openid-client'

const ANSWER_BYTES_MAX = 1_000_000

/** The provider could not be reached, broke off, or said that the fault is its own. */
class ProviderDown extends Error {
  constructor(detail: string, options?: ErrorOptions) {
    super(detail, options)
    this.name = 'ProviderDown'
  }
}

/** Whether that is why something failed. */
export function isProviderDown(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ProviderDown || cause.name === 'TimeoutError') return true
  }
  return false
}

/**
 * `fetch` for the answers of a provider, which are a few kilobytes: one is read to its end, or to a million bytes, whatever is packed into it.
 *
 * @throws {ProviderDown}
 * @throws {Error} for a longer answer
 */
export const boundedFetch: CustomFetch = async (url, options) => {
  const response = await fetch(url, options as RequestInit).catch(down)
  const { status, statusText, headers } = response
  if (status >= 500) {
    await response.body?.cancel()
    throw new ProviderDown(`The provider answered ${status}`)
  }
  const chunks: Uint8Array[] = []
  let bytes = 0
  const reader = response.body?.getReader()
  for (;;) {
    const { value } = (await reader?.read().catch(down)) ?? {}
    if (value === undefined) break
    bytes += value.length
    if (bytes > ANSWER_BYTES_MAX) {
      await reader?.cancel()
      throw new Error(`The provider’s answer is longer than ${ANSWER_BYTES_MAX} bytes`)
    }
    chunks.push(value)
  }
  // Some statuses take no body, not even an empty one.
  return new Response(bytes === 0 ? null : Buffer.concat(chunks), { status, statusText, headers })
}

function down(cause: unknown): never {
  throw new ProviderDown('The provider does not answer', { cause })
}
