export { replicatedTestBus, testBus, type TestBus } from './bus.ts'
export { cloneDatabase, type CloneOptions, type TestDatabase } from './database.ts'
export { eventually, type EventuallyOptions } from './eventually.ts'
export { FakeClock } from './fake-clock.ts'
export {
  accessToken,
  accessTokenTexts,
  base64url,
  claimsOf,
  currentSigningKey,
  signedBy,
  strangersKey,
  type SigningKey,
  type Written,
} from './forgery.ts'
export type { TestServers } from './global-setup.ts'
export { internalTokenKey, signedIn, type Caller } from './identity.ts'
export { testLog, type LogLine, type TestLog } from './log.ts'
export { readMailsAt, testMailbox, type Mail, type MailReader, type TestMailbox } from './mailbox.ts'
export { testObjectStore, type TestObjectStore } from './object-store.ts'
export { testPostgres, type TestPostgres } from './postgres.ts'
export { testProxy, type TestProxy } from './proxy.ts'
export { testPooler, type TestPooler } from './pooler.ts'
export { newDirectory, sharedServers } from './servers.ts'
export {
  startService,
  testConfig,
  type CallAnswer,
  type CallOptions,
  type ServiceParts,
  type TestConfig,
  type TestService,
} from './service.ts'
