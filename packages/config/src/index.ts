export type { OidcProvider } from './oidc-providers.ts'
export { systemClock, type Clock } from './clock.ts'
export { envExample } from './env-example.ts'
export { auth, bus, common, database, internalToken, mailSecret, objectStore, smtp } from './groups.ts'
export { newId } from './id.ts'
export { ConfigError, readConfig, type Config, type ConfigProblem, type Variables } from './read-config.ts'
export {
  base64urlKey,
  integer,
  keysByName,
  list,
  oneOf,
  optionalText,
  rotatingKey,
  text,
  url,
  urlList,
  zone,
  type Variable,
  type VariableOptions,
} from './variable.ts'
