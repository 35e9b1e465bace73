import { readOidcProviders } from './oidc-providers.ts'
import {
  base64urlKey,
  integer,
  json,
  keysByName,
  oneOf,
  optionalBase64urlKey,
  optionalToken,
  optionalUrl,
  rotatingKey,
  share,
  text,
  url,
  urlList,
  zone,
} from './variable.ts'

const KEY_BYTES = 32
const PORT_MAX = 65_535
const EXAMPLE_KEY = 'replace-with-32-random-bytes-in-base64url'

/** What every service reads. */
export const common = {
  listenPort: integer('LISTEN_PORT', 0, PORT_MAX, {
    description: 'Port of the service; 0 takes a free one',
    default: '3000',
  }),
  opsPort: integer('OPS_PORT', 0, PORT_MAX, {
    description: 'Port of health, readiness and metrics; 0 takes a free one',
    default: '9000',
  }),
  listenHost: text('LISTEN_HOST', {
    description: 'Address both ports are bound to',
    default: '127.0.0.1',
  }),
  publicUrl: url('PUBLIC_URL', ['http', 'https'], {
    description: 'Where people reach the shop, without a trailing slash',
    example: 'http://localhost:8080',
  }),
  logLevel: oneOf('LOG_LEVEL', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    description: 'The least severe log line that is written',
    default: 'info',
  }),
  connTimeoutSeconds: integer('CONN_TIMEOUT', 1, 300, {
    description: 'Seconds a call to Postgres, NATS or the object store may take; Postgres ends a statement after 8',
    default: '10',
  }),
  otlpEndpoint: optionalUrl('OTEL_EXPORTER_OTLP_ENDPOINT', ['http', 'https'], {
    description: 'Where spans of requests and messages are sent by OTLP over HTTP; unset for nowhere',
  }),
  traceShare: share('OTEL_TRACES_SAMPLER_ARG', {
    description: 'Share of traces that are kept, 0 to 1; the same for every service',
    default: '1',
  }),
}

/** What a service with a database reads. */
export const database = {
  databaseUrl: url('DATABASE_URL', ['postgres', 'postgresql'], {
    description: 'Postgres as the service role; may go through a pooler in transaction mode',
    secret: true,
    example: 'postgres://orders:password@localhost:5432/orders',
  }),
  migrateDatabaseUrl: url('MIGRATE_DATABASE_URL', ['postgres', 'postgresql'], {
    description: 'Postgres as the migrator role, without a pooler',
    secret: true,
    example: 'postgres://orders_migrator:password@localhost:5432/orders',
  }),
}

/** What a service that publishes or consumes events reads. */
export const bus = {
  natsBrokerUrl: url('NATS_BROKER_URL', ['nats', 'tls'], {
    description: 'NATS, user and password inside the URL',
    secret: true,
    example: 'nats://orders:password@localhost:4222',
  }),
  natsStreamReplicas: integer('NATS_STREAM_REPLICAS', 1, 5, {
    description: 'Copies of each message when this service creates the stream',
    default: '1',
  }),
}

/** What a service behind the edge reads: the key only it and auth know. */
export const internalToken = {
  internalTokenKeys: rotatingKey('INTERNAL_TOKEN_KEY', KEY_BYTES, {
    description: 'Key of the tokens auth signs for this service; two, comma-separated, during rotation',
    secret: true,
    example: EXAMPLE_KEY,
  }),
}

/** What a service that stores pictures reads. */
export const objectStore = {
  s3Endpoint: url('S3_ENDPOINT', ['http', 'https'], {
    description: 'S3-compatible object store',
    example: 'http://localhost:9100',
  }),
  s3Region: text('S3_REGION', { description: 'Region of the bucket', default: 'us-east-1' }),
  s3Bucket: text('S3_BUCKET', { description: 'Bucket for pictures', default: 'saas' }),
  s3AccessKey: text('S3_ACCESS_KEY', {
    description: 'Access key id of the object store',
    secret: true,
    example: 'access-key',
  }),
  s3SecretKey: text('S3_SECRET_KEY', {
    description: 'Secret key of the object store',
    secret: true,
    example: 'secret-key',
  }),
  pictureMemoryMiB: integer('PICTURE_MEMORY_MIB', 64, 1_024, {
    description:
      'Memory that decoding one picture may take, in MiB, besides what the service itself has; one that takes more is refused',
    default: '160',
  }),
}

/** What only auth reads. */
export const auth = {
  internalTokenKeysByService: keysByName('INTERNAL_TOKEN_KEYS', KEY_BYTES, {
    description: 'The INTERNAL_TOKEN_KEY of every service, as service=key; a service stands twice during rotation',
    secret: true,
    example: `orders=${EXAMPLE_KEY},products=${EXAMPLE_KEY}`,
  }),
  keyEncryptionKey: base64urlKey('KEY_ENCRYPTION_KEY', KEY_BYTES, {
    description: 'Seals the key in the database that all others of auth follow from',
    secret: true,
    example: EXAMPLE_KEY,
  }),
  keyEncryptionKeyAccepted: optionalBase64urlKey('KEY_ENCRYPTION_KEY_ACCEPTED', KEY_BYTES, {
    description: 'Opens what KEY_ENCRYPTION_KEY does not, while that is being replaced',
    secret: true,
  }),
  bootstrapToken: optionalToken('BOOTSTRAP_TOKEN', {
    description: 'Makes the first admin, once; 16 characters or more; leave it unset afterwards',
    secret: true,
  }),
  oidcProviders: json('OIDC_PROVIDERS', readOidcProviders, {
    description:
      'OpenID providers as JSON: [{"id","name","issuer","clientId","clientSecret","trustEmail"?}]; their redirect URI is PUBLIC_URL/oidc/<id>',
    secret: true,
    default: '[]',
  }),
  edge: oneOf('EDGE', ['nginx', 'envoy', 'traefik', 'caddy'], {
    description: 'The proxy in front, which decides where the original request is read from',
    default: 'nginx',
  }),
  // Without a default: guessed too low, all clients are one; too high, each may say who it is.
  trustedHops: integer('TRUSTED_HOPS', 0, 10, {
    description: 'Proxies in front of the edge whose X-Forwarded-For is believed; 0 when clients reach the edge itself',
    example: '0',
  }),
}

/** What auth (which seals) and notifications (which opens) read. */
export const mailSecret = {
  mailSecretKey: base64urlKey('MAIL_SECRET_KEY', KEY_BYTES, {
    description: 'Seals the codes and links an event carries to notifications (JWE, dir, A256GCM)',
    secret: true,
    example: EXAMPLE_KEY,
  }),
  mailSecretKeyAccepted: optionalBase64urlKey('MAIL_SECRET_KEY_ACCEPTED', KEY_BYTES, {
    description: 'Opens what MAIL_SECRET_KEY does not, while that is being replaced',
    secret: true,
  }),
}

/** What notifications reads. */
export const smtp = {
  smtpUrls: urlList('SMTP_URL', ['smtp', 'smtps'], {
    description: 'Mail servers in the order they are tried, comma-separated',
    secret: true,
    example: 'smtp://localhost:1025',
  }),
  mailFrom: text('MAIL_FROM', {
    description: 'Sender of every mail',
    default: 'Shop <shop@example.com>',
  }),
  shopZone: zone('SHOP_ZONE', {
    description: 'IANA time zone of the shop: when its days begin, for reports',
    default: 'UTC',
  }),
  quietHours: text('QUIET_HOURS', {
    description: 'When mails that nobody waits for are held back, by the clock of their reader; `off` for never',
    default: '22:00-07:00',
  }),
  cartReminderHours: integer('CART_REMINDER_HOURS', 1, 720, {
    description: 'How long a cart lies still until its owner is reminded of it',
    default: '24',
  }),
}

const { databaseUrl } = database

/** What each service reads; the other role of its database is for its migrations alone. */
export const variablesOf = {
  /** The key of auth's own internal tokens stands in INTERNAL_TOKEN_KEYS too. */
  auth: { ...common, databaseUrl, ...bus, ...objectStore, ...auth, ...mailSecret },
  products: { ...common, databaseUrl, ...bus, ...internalToken, ...objectStore },
  orders: { ...common, databaseUrl, ...bus, ...internalToken },
  notifications: { ...common, databaseUrl, ...bus, ...internalToken, ...mailSecret, ...smtp },
  /** Nothing but its ports: everything else it asks through the edge, from the browser. */
  frontend: common,
}
