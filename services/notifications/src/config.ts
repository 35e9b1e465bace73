import { variablesOf, type Config } from '@saas/config'

/** What the service reads from its environment. */
export const notificationsVariables = variablesOf.notifications
export type NotificationsConfig = Config<typeof notificationsVariables>
