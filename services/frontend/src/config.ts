import { common, type Config } from '@saas/config'

/** The front end needs nothing but its own ports: everything else it asks through the edge, from the browser. */
export const frontendVariables = { ...common }
export type FrontendConfig = Config<typeof frontendVariables>
