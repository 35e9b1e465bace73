import { runService } from '@saas/http'
import { notificationsVariables } from '../src/config.ts'
import { startNotifications } from '../src/main.ts'

/** A replica that says more often that it lives, so that a test need not wait for long until it is missed. */
await runService({
  name: 'notifications',
  variables: notificationsVariables,
  start: async (config, context) => await startNotifications(config, context, { beatMs: 100 }),
})
