import { bus, common, database, internalToken, type Config } from '@saas/config'

const { databaseUrl } = database

/** What the service reads from its environment. */
export const ordersVariables = { ...common, databaseUrl, ...bus, ...internalToken }
export type OrdersConfig = Config<typeof ordersVariables>
