export { replicatedTestBus, testBus, type TestBus } from './bus.ts'
export { cloneDatabase, type TestDatabase } from './database.ts'
export { eventually } from './eventually.ts'
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
export { internalTokenKey, signedIn } from './identity.ts'
export { testLog, type TestLog } from './log.ts'
export { readMailsAt, testMailbox, type MailReader } from './mailbox.ts'
export { testObjectStore, type TestObjectStore } from './object-store.ts'
export { testPostgres, type TestPostgres } from './postgres.ts'
export { testProxy, type TestProxy } from './proxy.ts'
export { testPooler } from './pooler.ts'
export { newDirectory, sharedServers } from './servers.ts'
export {
  startService,
  testConfig,
  type CallAnswer,
  type CallOptions,
  type ServiceParts,
  type TestService,
} from './service.ts'
