/** A service as the broker knows it: a user of the one account. */
export interface BrokerUser {
  readonly service: string
  /** The password, or the environment variable the server reads it from. */
  readonly password: string | { readonly variable: string }
  /** The durable consumers of the stream that are this service's own. */
  readonly durables: readonly string[]
  /** The subjects it hears as plain broadcasts. */
  readonly hears: readonly string[]
}

export interface NatsConfigurationOptions {
  readonly users: readonly BrokerUser[]
  readonly port: number
  readonly storeDirectory: string
  readonly host?: string
  /** The monitoring port; closed when left out. */
  readonly monitorPort?: number
  readonly stream?: string
  readonly serverName?: string
  readonly storeBytesMax?: number
  /** The servers it keeps its streams together with: its own route port, and the route ports of all. */
  readonly cluster?: { readonly port: number; readonly routePorts: readonly number[] }
  /** A user who may do everything: only for tests, which break things on purpose. */
  readonly administrator?: { readonly user: string; readonly password: string }
}

const STORE_BYTES_MAX = 2 * 1024 ** 3
const PAYLOAD_BYTES_MAX = 1024 ** 2

/**
 * The configuration of a NATS server for our services: one account, one user a service, and for each exactly what it needs:
 * to publish under its own name, to receive answers in its own inbox, to create the stream and read its state, and to
 * create, read, pull from and acknowledge its own durable consumers. Nobody may update, purge or delete the stream, or
 * delete or read a message of it past a consumer. Pure: the chart uses the same text.
 */
export function natsConfiguration(options: NatsConfigurationOptions): string {
  const { users, port, storeDirectory, host = '127.0.0.1', monitorPort, stream = 'messages' } = options
  const accountUsers = users.map((user) => userBlock(user, stream))
  if (options.administrator !== undefined) {
    const { user, password } = options.administrator
    accountUsers.push(`      { user: ${quoted(user)}, password: ${quoted(password)} }`)
  }
  return [
    `listen: ${quoted(`${host}:${port}`)}`,
    ...(monitorPort === undefined ? [] : [`http: ${quoted(`${host}:${monitorPort}`)}`]),
    ...(options.serverName === undefined ? [] : [`server_name: ${quoted(options.serverName)}`]),
    `max_payload: ${PAYLOAD_BYTES_MAX}`,
    'jetstream {',
    `  store_dir: ${quoted(storeDirectory)}`,
    `  max_file_store: ${options.storeBytesMax ?? STORE_BYTES_MAX}`,
    '  # An acknowledged message is on the disk; without this the server acknowledges up to two minutes before it is.',
    '  sync_interval: always',
    '}',
    ...(options.cluster === undefined ? [] : clusterBlock(host, options.cluster)),
    'accounts {',
    '  saas {',
    '    jetstream: enabled',
    '    users: [',
    accountUsers.join('\n'),
    '    ]',
    '  }',
    '}',
    '',
  ].join('\n')
}

/** The subjects a service may publish to and subscribe to. */
export function brokerPermissions(
  user: Pick<BrokerUser, 'service' | 'durables' | 'hears'>,
  stream = 'messages',
): { readonly publish: readonly string[]; readonly subscribe: readonly string[] } {
  return {
    publish: [
      `msg.${user.service}.>`,
      '$JS.API.INFO',
      `$JS.API.STREAM.CREATE.${stream}`,
      `$JS.API.STREAM.INFO.${stream}`,
      ...user.durables.flatMap((durable) => [
        `$JS.API.CONSUMER.CREATE.${stream}.${durable}`,
        `$JS.API.CONSUMER.CREATE.${stream}.${durable}.>`,
        `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.${durable}`,
        `$JS.API.CONSUMER.INFO.${stream}.${durable}`,
        `$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`,
        `$JS.ACK.${stream}.${durable}.>`,
      ]),
    ],
    subscribe: [`_INBOX_${user.service}.>`, ...user.hears],
  }
}

function clusterBlock(host: string, { port, routePorts }: Required<NatsConfigurationOptions>['cluster']): string[] {
  return [
    'cluster {',
    '  name: "saas"',
    `  listen: ${quoted(`${host}:${port}`)}`,
    `  routes: [${routePorts.map((route) => quoted(`nats-route://${host}:${route}`)).join(', ')}]`,
    '}',
  ]
}

function userBlock(user: BrokerUser, stream: string): string {
  const { publish, subscribe } = brokerPermissions(user, stream)
  const password = typeof user.password === 'string' ? quoted(user.password) : `$${user.password.variable}`
  return [
    '      {',
    `        user: ${quoted(user.service)}`,
    `        password: ${password}`,
    '        permissions {',
    `          publish { allow: [${publish.map(quoted).join(', ')}] }`,
    `          subscribe { allow: [${subscribe.map(quoted).join(', ')}] }`,
    '        }',
    '      }',
  ].join('\n')
}

/** A string of the configuration language. Ours hold neither quotes nor backslashes; one that does is a mistake. */
function quoted(text: string): string {
  if (/["\\\n]/.test(text))
    throw new Error('a value of the NATS configuration holds a quote, a backslash or a line break')
  return `"${text}"`
}
