import { bus, common, database, internalToken, objectStore, type Config } from '@saas/config'

const { databaseUrl } = database

/** What the service reads; only its migrations know the other role. */
export const productsVariables = { ...common, databaseUrl, ...bus, ...internalToken, ...objectStore }

export type ProductsConfig = Config<typeof productsVariables>
