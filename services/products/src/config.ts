import { variablesOf, type Config } from '@saas/config'

/** What the service reads from its environment. */
export const productsVariables = variablesOf.products
export type ProductsConfig = Config<typeof productsVariables>
