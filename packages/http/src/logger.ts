import type { ServiceName } from '@saas/contracts'
import { pino, stdSerializers, type DestinationStream, type Logger } from 'pino'

export type { Logger } from 'pino'

/** Fields whose value never reaches a log, wherever they stand up to two levels deep. */
const SECRET_FIELDS = [
  'authorization',
  'cookie',
  'set-cookie',
  'x-internal-token',
  'password',
  'currentPassword',
  'newPassword',
  'token',
  'accessToken',
  'refreshToken',
  'bootstrapToken',
  'mfaToken',
  'code',
  'secret',
  'databaseUrl',
  'natsBrokerUrl',
  'smtpUrl',
]

/** pino's path syntax wants what is not an identifier in brackets. */
const redacted = SECRET_FIELDS.flatMap((field) =>
  /^\w+$/.test(field) ? [field, `*.${field}`, `*.*.${field}`] : [`["${field}"]`, `*["${field}"]`, `*.*["${field}"]`],
).filter((path) => path !== 'err.code' && path !== '*.code' && path !== 'code')

/**
 * The service's logger: one JSON object a line, the time in RFC 3339, the message a constant sentence, secrets
 * redacted by name and passwords inside URLs of error texts by pattern. Pretty printing is a pipe.
 */
export function createLogger(service: ServiceName, level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { service },
    messageKey: 'message',
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: redacted, censor: '[redacted]' },
    serializers: { err: serializeError },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

function serializeError(error: Error): object {
  const { type, message, stack } = stdSerializers.err(error)
  const code = 'code' in error ? { code: String(error.code) } : {}
  return { type, message: withoutPasswords(message), stack: withoutPasswords(stack), ...code }
}

function withoutPasswords(text: string): string {
  return text.replaceAll(/:\/\/([^:/@\s]{0,200}):[^@\s]{1,500}@/g, '://$1:[redacted]@')
}
