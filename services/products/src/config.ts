import { bus, common, database, internalToken, type Config } from '@saas/config'

export const productsVariables = { ...common, ...database, ...bus, ...internalToken }

export type ProductsConfig = Config<typeof productsVariables>
