import { bus, common, database, internalToken, mailSecret, smtp, type Config } from '@saas/config'

export const notificationsVariables = { ...common, ...database, ...bus, ...internalToken, ...mailSecret, ...smtp }

export type NotificationsConfig = Config<typeof notificationsVariables>
