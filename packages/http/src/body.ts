import { problems, ProblemError } from '@saas/contracts'
import type { FastifyRequest } from 'fastify'
import { Transform, type Readable } from 'node:stream'

/** Whether the request announces a body. */
export function hasBody(request: FastifyRequest): boolean {
  const length = request.headers['content-length']
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

/**
 * Refuses a body that was compressed: what it holds would be bounded only after it was unpacked. The answer says what is taken
 * (RFC 9110, section 12.5.3).
 *
 * @throws {ProblemError} `unsupported-media-type`
 */
export function refuseContentCoding({ headers }: FastifyRequest): void {
  const coding = headers['content-encoding']?.trim().toLowerCase() ?? ''
  if (coding === '' || coding === 'identity') return
  throw new ProblemError(problems.unsupportedMediaType, {
    detail: 'The body is compressed. Send it as it is, without Content-Encoding.',
    headers: { 'accept-encoding': 'identity' },
  })
}

/**
 * The payload as a stream that fails with `body-too-large` once more than `bytesMax` bytes came.
 *
 * @throws {ProblemError} `body-too-large` at once when Content-Length says so already.
 */
export function boundedStream(payload: Readable, contentLength: string | undefined, bytesMax: number): Readable {
  const tooLarge = () =>
    new ProblemError(problems.bodyTooLarge, { detail: `The body may have at most ${bytesMax} bytes.` })
  if (Number(contentLength ?? 0) > bytesMax) throw tooLarge()
  let bytes = 0
  const bounded = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      if (bytes > bytesMax) done(tooLarge())
      else done(null, chunk)
    },
  })
  payload.on('error', (error) => bounded.destroy(error))
  payload.on('aborted', () =>
    bounded.destroy(new ProblemError(problems.malformedBody, { detail: 'The body was cut off.' })),
  )
  // What nobody wants any more is read to its end: a proxy in front sends the whole body before it takes an answer.
  bounded.on('close', () => {
    payload.unpipe(bounded)
    payload.resume()
  })
  return payload.pipe(bounded)
}
