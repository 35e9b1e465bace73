import type { Rendered } from './helm.ts'

const MAGIC = 'k8s\0'

/** Fields of a message by their number; a field that repeats has several values. */
type Message = ReadonlyMap<number, readonly Buffer[]>

/**
 * A Secret as clients of Kubernetes send it in Protocol Buffers, which is how Helm keeps its records of releases: after four bytes an
 * envelope whose second field holds the object (k8s.io/api/core/v1/generated.proto).
 */
export function decodeSecret(bytes: Buffer): Rendered | undefined {
  if (bytes.subarray(0, MAGIC.length).toString() !== MAGIC) return undefined
  const secret = messageOf(messageOf(bytes.subarray(MAGIC.length)).get(2)?.[0])
  const metadata = messageOf(secret.get(1)?.[0])
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: textOf(metadata, 1),
      namespace: textOf(metadata, 3),
      labels: mapOf(metadata, 11, 'utf8'),
      annotations: mapOf(metadata, 12, 'utf8'),
    },
    data: mapOf(secret, 2, 'base64'),
    type: textOf(secret, 3),
  }
}

function textOf(message: Message, field: number): string {
  return message.get(field)?.[0]?.toString() ?? ''
}

function mapOf(message: Message, field: number, encoding: 'utf8' | 'base64'): Record<string, string> {
  const entries = (message.get(field) ?? []).map((entry) => {
    const pair = messageOf(entry)
    return [textOf(pair, 1), pair.get(2)?.[0]?.toString(encoding) ?? '']
  })
  return Object.fromEntries(entries) as Record<string, string>
}

function messageOf(bytes: Buffer = Buffer.alloc(0)): Message {
  const fields = new Map<number, Buffer[]>()
  let at = 0
  const number = (): number => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at] ?? 0
      at += 1
      value += (byte % 128) * shift
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const tag = number()
    const length = tag % 8 === 2 ? number() : 0
    if (tag % 8 === 2) {
      const field = Math.floor(tag / 8)
      fields.set(field, [...(fields.get(field) ?? []), bytes.subarray(at, at + length)])
      at += length
    } else number()
  }
  return fields
}
