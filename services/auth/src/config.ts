import { ConfigError, variablesOf, type Config } from '@saas/config'
import { statefulServices } from '@saas/contracts'

/** What the service reads from its environment. */
export const authVariables = variablesOf.auth
export type AuthConfig = Config<typeof authVariables>

/** @throws {ConfigError} when a service has no key: every request for it would be refused. */
export function refuseMissingKeys(config: AuthConfig): void {
  const missing = statefulServices.filter((service) => !config.internalTokenKeysByService.has(service))
  if (missing.length === 0) return
  throw new ConfigError([{ name: 'INTERNAL_TOKEN_KEYS', detail: `has no key for ${missing.join(', ')}` }])
}
