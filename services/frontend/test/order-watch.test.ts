import { afterAll, expect, test, vi } from 'vitest'

// The browser's, where the language and the session are looked up first.
vi.stubGlobal('localStorage', { getItem: () => null })
vi.stubGlobal('document', { documentElement: {} })
vi.useFakeTimers()
afterAll(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})
const { watchOrder } = await import('../web/order-watch.ts')

test('an order is watched on over another connection when the network has gone without a word', async () => {
  const text = (value: string) => new TextEncoder().encode(value)
  let opened = 0
  vi.stubGlobal('fetch', async (_path: string, { signal }: { readonly signal: AbortSignal }) => {
    opened += 1
    const isFirst = opened === 1
    const body = new ReadableStream({
      start(stream) {
        stream.enqueue(text(isFirst ? ':\n\n' : 'data: {"status":"confirmed"}\n\n'))
        signal.addEventListener('abort', () => stream.error(signal.reason))
      },
    })
    return new Response(body)
  })
  const seen: string[] = []
  const watched = watchOrder('1', new AbortController().signal, {
    order: ({ status }) => seen.push(status),
    connected: (isConnected) => seen.push(isConnected ? 'connected' : 'gone'),
  })
  await vi.advanceTimersByTimeAsync(39_000)
  expect(seen).toEqual(['connected'])
  await vi.advanceTimersByTimeAsync(2_000)
  await watched
  expect(seen).toEqual(['connected', 'gone', 'connected', 'confirmed'])
})
