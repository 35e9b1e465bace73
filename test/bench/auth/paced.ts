import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { percentile } from '../frame/benchmark.ts'
import type { LoadRequest } from '../frame/load.ts'

const CONNECTIONS = 32

/**
 * Sends so many requests a second, whether the answers keep up or not, and says how long 99 of 100 took from when they were due: what
 * waited because others were late counts as late. Only for answers without a body. It sleeps for a millisecond at a time, which counts
 * too: a loop that never slept would take the core that it waits for.
 */
export async function p99AtRate(
  url: string,
  requestAt: (n: number) => LoadRequest,
  rate: { readonly perSecond: number; readonly seconds: number },
): Promise<number> {
  const { hostname, port } = new URL(url)
  const total = Math.floor(rate.perSecond * rate.seconds)
  const texts = Array.from({ length: Math.min(total, 10_000) }, (_, n) => textOf(requestAt(n)))
  const dueAtMs: number[] = []
  const latenciesMs: number[] = []
  const idle: (() => void)[] = []
  const sockets = await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const socket = connect(Number(port), hostname)
      socket.setNoDelay(true)
      await once(socket, 'connect')
      let sentFor = 0
      const send = (): void => {
        const due = dueAtMs.shift()
        if (due === undefined) {
          idle.push(send)
          return
        }
        sentFor = due
        socket.write(texts[latenciesMs.length % texts.length] ?? '')
      }
      socket.on('data', (chunk) => {
        if (!chunk.subarray(-4).equals(HEAD_END)) return
        latenciesMs.push(performance.now() - sentFor)
        send()
      })
      idle.push(send)
      return socket
    }),
  )
  const startedAtMs = performance.now()
  for (let made = 0; latenciesMs.length < total;) {
    const due = Math.min(total, ((performance.now() - startedAtMs) / 1_000) * rate.perSecond)
    for (; made < due; made += 1) {
      dueAtMs.push(startedAtMs + (made / rate.perSecond) * 1_000)
      idle.pop()?.()
    }
    await wait(1)
  }
  for (const socket of sockets) socket.destroy()
  return percentile(latenciesMs, 99)
}

const HEAD_END = Buffer.from('\r\n\r\n')

function textOf({ method, path, headers = {} }: LoadRequest): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\nhost: auth\r\n${lines.join('')}\r\n`
}
