import { fileURLToPath } from 'node:url'
import { runMigrations } from '@saas/state'

await runMigrations({ service: 'auth', directory: fileURLToPath(new URL('../migrations', import.meta.url)) })
