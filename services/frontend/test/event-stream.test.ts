import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readEvents } from '../web/event-stream.ts'

test('events arrive whole and in order, however the network cuts them', async () => {
  const lineEnd = fc.constantFrom('\n', '\r\n', '\r')
  const data = fc.array(
    fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify(text)),
    { maxLength: 6 },
  )
  await fc.assert(
    fc.asyncProperty(data, lineEnd, fc.array(fc.integer({ min: 1, max: 7 })), async (sent, end, cuts) => {
      const text = [`:hello${end}`, ...sent.map((item) => `event: order${end}data: ${item}${end}${end}`)].join('')
      const bytes = new TextEncoder().encode(text)
      const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
        start(controller) {
          let from = 0
          for (const cut of cuts) {
            if (from < bytes.length) controller.enqueue(bytes.slice(from, from + cut))
            from += cut
          }
          if (from < bytes.length) controller.enqueue(bytes.slice(from))
          controller.close()
        },
      })
      const received: string[] = []
      for await (const item of readEvents(stream)) received.push(item)
      // A carriage return at the very end may be half a line end, so the last event waits for more.
      expect(received).toEqual(end === '\r' ? sent.slice(0, received.length) : sent)
      expect(received.length).toBeGreaterThanOrEqual(sent.length - 1)
    }),
  )
})

test('an event that breaks off is not reported', async () => {
  const stream = new Response('data: {"a":1}\n\ndata: {"b"').body
  const received: string[] = []
  if (stream !== null) for await (const item of readEvents(stream)) received.push(item)
  expect(received).toEqual(['{"a":1}'])
})
