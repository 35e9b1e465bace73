import { bus, common, database, internalToken, mailSecret, smtp, type Config } from '@saas/config'

const { databaseUrl } = database

/** What the service reads; only its migrations know the other role. */
export const notificationsVariables = { ...common, databaseUrl, ...bus, ...internalToken, ...mailSecret, ...smtp }

export type NotificationsConfig = Config<typeof notificationsVariables>
