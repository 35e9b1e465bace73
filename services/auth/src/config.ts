import { auth, bus, common, ConfigError, database, mailSecret, objectStore, type Config } from '@saas/config'
import { statefulServices } from '@saas/contracts'

const { databaseUrl } = database

/** What auth reads. The key of its own internal tokens stands in INTERNAL_TOKEN_KEYS too. */
export const authVariables = { ...common, databaseUrl, ...bus, ...objectStore, ...auth, ...mailSecret }
export type AuthConfig = Config<typeof authVariables>

/** @throws {ConfigError} when a service has no key: every request for it would be refused. */
export function refuseMissingKeys(config: AuthConfig): void {
  const missing = statefulServices.filter((service) => !config.internalTokenKeysByService.has(service))
  if (missing.length === 0) return
  throw new ConfigError([{ name: 'INTERNAL_TOKEN_KEYS', detail: `has no key for ${missing.join(', ')}` }])
}
