import { problems, ProblemError, type Problem, type ProblemBody } from '@saas/contracts'
import type { FastifyReply, FastifyRequest } from 'fastify'

const MEDIA_TYPE = 'application/problem+json'
const RETRY_AFTER_SECONDS = '1'

/** Fastify's own refusals, by its error code. */
const problemsByCode: Readonly<Record<string, readonly [Problem, string?]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [problems.bodyTooLarge],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [problems.unsupportedMediaType],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [problems.malformedBody, 'The body is not as long as Content-Length says.'],
  FST_ERR_BAD_URL: [problems.invalidRequest, 'The path is not correctly percent-encoded.'],
  FST_ERR_MAX_PARAM_LENGTH: [problems.invalidRequest, 'A part of the path is too long.'],
  FST_ERR_HANDLER_TIMEOUT: [problems.dependencyUnavailable, 'The answer took too long.'],
  ECONNRESET: [problems.malformedBody, 'The body was cut off.'],
}

/**
 * Turns whatever was thrown into the problem that is answered. What was not declared is `internal-error`, and its
 * cause stays in the log.
 */
export function toProblemError(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  const known = Object.hasOwn(problemsByCode, code) ? problemsByCode[code] : undefined
  if (known === undefined) return new ProblemError(problems.internalError, { cause: error })
  const [problem, detail] = known
  return new ProblemError(problem, detail === undefined ? { cause: error } : { detail, cause: error })
}

/** The body of a problem, as RFC 9457 has it. `instance` names the request, under which the log has the cause. */
function problemBody(error: ProblemError, requestId: string): ProblemBody {
  return {
    type: error.problem.type,
    title: error.problem.title,
    status: error.problem.status,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    instance: `urn:uuid:${requestId}`,
    ...(error.errors === undefined ? {} : { errors: [...error.errors] }),
  }
}

/** Answers a problem. A 503 says when to come again; a body that was not read to its end closes the connection. */
export function sendProblem(error: ProblemError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status } = error.problem
  reply.code(status).header('content-type', MEDIA_TYPE).header('cache-control', 'no-store')
  if (status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS)
  if (status === 413) reply.header('connection', 'close')
  reply.headers(error.headers)
  // To text Fastify would add a charset, which this media type does not have.
  return reply.send(Buffer.from(JSON.stringify(problemBody(error, request.id))))
}

/** The whole HTTP/1.1 answer to what Node's parser refused, when there is no request to answer to. */
export function rawProblemResponse(code: string | undefined, requestId: string): string {
  const tooLong = code === 'HPE_HEADER_OVERFLOW'
  const detail = tooLong ? 'The headers are too long.' : 'The request is not valid HTTP.'
  const error = new ProblemError(problems.invalidRequest, {
    detail: code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'The request took too long to arrive.' : detail,
  })
  const body = JSON.stringify(problemBody(error, requestId))
  return [
    `HTTP/1.1 ${error.problem.status} Bad Request`,
    `Content-Type: ${MEDIA_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
