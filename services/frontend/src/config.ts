import { variablesOf, type Config } from '@saas/config'

/** What the service reads from its environment. */
export const frontendVariables = variablesOf.frontend
export type FrontendConfig = Config<typeof frontendVariables>
