import { variablesOf, type Config } from '@saas/config'

/** What the service reads from its environment. */
export const ordersVariables = variablesOf.orders
export type OrdersConfig = Config<typeof ordersVariables>
