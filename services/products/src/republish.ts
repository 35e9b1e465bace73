import { database, readConfig } from '@saas/config'
import { createLogger } from '@saas/http'
import { Database } from '@saas/state'
import { republishProducts } from './republication.ts'

const TIMEOUT_MS = 30_000

const { databaseUrl: url } = readConfig({ databaseUrl: database.databaseUrl })
const logger = createLogger('products', 'info')
await using connected = new Database({ url, service: 'products', timeoutMs: TIMEOUT_MS, logger })
const products = await republishProducts(connected)
logger.info({ products }, 'The state of all products is in the outbox; a running service publishes it')
