export { createApp, type App, type AppOptions, type Checks, type Shortcut } from './app.ts'
export type { Answer, AnswerExtras, Call, Handler, Handlers } from './call.ts'
export { etag, isNotModified, parseIfMatch, requireIfMatch, type EntityTags } from './conditional.ts'
export { streamEvents, type ServerSentEvent } from './event-stream.ts'
export type { Identity } from './identity.ts'
export {
  INTERNAL_TOKEN_HEADER,
  signInternalToken,
  verifyInternalToken,
  type InternalTokenClaims,
  type InternalTokenRefusal,
  type InternalTokenVerdict,
} from './internal-token.ts'
export { listen, type ListenOptions, type RunningApp, type RunningService } from './listen.ts'
export { createLogger, type Logger } from './logger.ts'
export { operatorHandlers, type OperatorState } from './operator-handlers.ts'
export { PreparedAnswer } from './prepared-answer.ts'
export { Repeating, type RepeatingOptions } from './repeating.ts'
export { registerRoute, registerRoutes } from './register-routes.ts'
export { isRequestId, parseIdempotencyKey, parsePrefer, type Preferences } from './request-headers.ts'
export { parseStrictJson } from './strict-json.ts'
export { valueChecker } from './validation.ts'
export { runService, type ServiceContext } from './run-service.ts'
export { signUnsubscribe, verifyUnsubscribe, type Unsubscription } from './unsubscribe-token.ts'
