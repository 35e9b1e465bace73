import { frontendRoutes, pageRoutes } from '@saas/contracts'
import { createApp, listen, runService, type RunningService, type ServiceContext } from '@saas/http'
import { join } from 'node:path'
import { readBuild } from './built-files.ts'
import { frontendVariables, type FrontendConfig } from './config.ts'
import { registerFrontend } from './routes.ts'

const dist = join(import.meta.dirname, '../dist')

/** Serves the built pages. It keeps no state and depends on nothing, so it is ready when it listens. */
export async function startFrontend(
  config: FrontendConfig,
  context: ServiceContext,
  directory = dist,
): Promise<RunningService> {
  const files = await readBuild(directory)
  const routes = [...Object.values(frontendRoutes), ...pageRoutes]
  const app = createApp({ service: 'frontend', routes, ...context, internalTokenKeys: [] })
  registerFrontend(app, files)
  return await listen(app, config)
}

if (import.meta.main) await runService({ name: 'frontend', variables: frontendVariables, start: startFrontend })
