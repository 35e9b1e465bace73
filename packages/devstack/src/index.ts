export {
  Authenticator,
  enrolAdministrator,
  signInWithFactor,
  type FactorOwner,
  type SendCall,
  type Tokens,
} from './authenticator.ts'
export { brokerUsers } from './broker-users.ts'
export { Child, ServerStartError, type ChildOptions } from './child.ts'
export { TerminalProgress } from './dev/terminal-progress.ts'
export { writeEdgeConfiguration } from './dev/edge-configuration.ts'
export { environmentOf, provisionOf, type ServerAddresses } from './dev/environment.ts'
export { randomStackSecrets, type StackSecrets } from './dev/secrets.ts'
export { composeArguments } from './docker/compose.ts'
export { startTrialShop, type TrialShop } from './docker/shop.ts'
export { caddyBinary } from './fetch/caddy-binary.ts'
export { unpackDebianPackages } from './fetch/debian-package.ts'
export { helmBinary, helmMajors, kubectlBinary, type HelmMajor } from './fetch/helm-binary.ts'
export { natsBinary } from './fetch/nats-binary.ts'
export { pgbouncerBinary, type PgbouncerProgram } from './fetch/pgbouncer-binary.ts'
export { pgbenchBinary, psqlBinary, type PostgresProgram } from './fetch/postgres-program.ts'
export { envoyBinary, traefikBinary } from './fetch/proxy-binaries.ts'
export { findProgram, run } from './fetch/run.ts'
export { goModuleFiles } from './fetch/go-module.ts'
export { rustPackage } from './fetch/rust-package.ts'
export { sopsBinary } from './fetch/sops-binary.ts'
export { DirectoryInUseError, stopLeftovers } from './ledger.ts'
export { cacheDirectory, cloneDirectory, devstackDirectory } from './locations.ts'
export {
  brokerPermissions,
  natsConfiguration,
  type BrokerUser,
  type NatsConfigurationOptions,
} from './nats-configuration.ts'
export { freePort, isPortFree, portHolder, type PortHolder } from './ports.ts'
export { runStep, silentProgress, type Progress, type ProgressStep } from './progress.ts'
export {
  randomServerSecrets,
  serverNames,
  startServers,
  type ServerName,
  type Servers,
  type ServerSecrets,
  type StartServersOptions,
} from './servers.ts'
export { startMailbox, type MailboxOptions, type MailboxServer } from './servers/mailbox.ts'
export { startNats, type NatsOptions, type NatsServer } from './servers/nats.ts'
export { startNginx, type NginxOptions, type NginxServer } from './servers/nginx.ts'
export { startObjectStore, type ObjectStoreOptions, type ObjectStoreServer } from './servers/object-store.ts'
export {
  forgetPostgres,
  postgresPrograms,
  startPostgres,
  type PostgresOptions,
  type PostgresServer,
} from './servers/postgres.ts'
