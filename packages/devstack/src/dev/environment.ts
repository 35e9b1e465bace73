import { needs, type ServiceName } from '@saas/contracts'
import type { ServiceProvision } from '@saas/state'
import type { StackSecrets } from './secrets.ts'

/** Where the servers are, however they were started. */
export interface ServerAddresses {
  /** The superuser's URL. */
  readonly postgresUrl: string
  /** Without credentials. */
  readonly natsUrl: string
  readonly s3Endpoint: string
  readonly s3Region: string
  readonly s3Bucket: string
  readonly smtpUrl: string
}

export interface ServicePorts {
  readonly listenPort: number
  readonly opsPort: number
}

/** What the service owns in Postgres. */
export function provisionOf(service: ServiceName, secrets: StackSecrets): ServiceProvision {
  const passwords = secrets.databasePasswords[service] ?? { role: '', migrator: '' }
  return {
    database: service,
    role: service,
    rolePassword: passwords.role,
    migratorRole: `${service}_migrator`,
    migratorPassword: passwords.migrator,
  }
}

/** The environment one service runs with: every variable it needs and no secret of another one. */
export function environmentOf(
  service: ServiceName,
  options: {
    readonly addresses: ServerAddresses
    readonly secrets: StackSecrets
    readonly ports: ServicePorts
    readonly publicUrl: string
  },
): Record<string, string> {
  const { addresses, secrets, ports, publicUrl } = options
  const { role, rolePassword, migratorRole, migratorPassword, database } = provisionOf(service, secrets)
  const has = needs[service]
  return {
    LISTEN_HOST: '127.0.0.1',
    LISTEN_PORT: String(ports.listenPort),
    OPS_PORT: String(ports.opsPort),
    PUBLIC_URL: publicUrl,
    LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'info',
    ...(has.database && {
      DATABASE_URL: withUser(addresses.postgresUrl, role, rolePassword, database),
      MIGRATE_DATABASE_URL: withUser(addresses.postgresUrl, migratorRole, migratorPassword, database),
      NATS_BROKER_URL: withUser(addresses.natsUrl, service, secrets.servers.natsPasswords[service] ?? ''),
      INTERNAL_TOKEN_KEY: secrets.internalTokenKeys[service] ?? '',
    }),
    ...(has.objectStore && {
      S3_ENDPOINT: addresses.s3Endpoint,
      S3_REGION: addresses.s3Region,
      S3_BUCKET: addresses.s3Bucket,
      S3_ACCESS_KEY: secrets.servers.objectStoreAccessKey,
      S3_SECRET_KEY: secrets.servers.objectStoreSecretKey,
    }),
    ...(has.smtp && { SMTP_URL: addresses.smtpUrl }),
    ...(service === 'auth' && {
      INTERNAL_TOKEN_KEYS: Object.entries(secrets.internalTokenKeys)
        .map(([name, key]) => `${name}=${key}`)
        .join(','),
      KEY_ENCRYPTION_KEY: secrets.keyEncryptionKey,
      BOOTSTRAP_TOKEN: secrets.bootstrapToken,
      EDGE: 'nginx',
      TRUSTED_HOPS: '0',
    }),
    ...((service === 'auth' || service === 'notifications') && { MAIL_SECRET_KEY: secrets.mailSecretKey }),
  }
}

function withUser(url: string, user: string, password: string, database?: string): string {
  const changed = new URL(url)
  changed.username = user
  changed.password = password
  if (database !== undefined) changed.pathname = `/${database}`
  return changed.href
}
