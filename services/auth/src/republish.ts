import { database, readConfig } from '@saas/config'
import { createLogger } from '@saas/http'
import { Database } from '@saas/state'
import { republishUsers } from './republication.ts'

const TIMEOUT_MS = 30_000

const { databaseUrl: url } = readConfig({ databaseUrl: database.databaseUrl })
const logger = createLogger('auth', 'info')
await using connected = new Database({ url, service: 'auth', timeoutMs: TIMEOUT_MS, logger })
const users = await republishUsers(connected)
logger.info({ users }, 'The state of all users is in the outbox; a running service publishes it')
