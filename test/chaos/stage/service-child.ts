import { statefulServices } from '@saas/contracts'
import { Child, cloneDirectory, freePort } from '@saas/devstack'
import { internalTokenKey } from '@saas/testing'
import { join } from 'node:path'
import type { Mutation } from './mutation.ts'

export type StatefulService = 'auth' | 'products' | 'orders' | 'notifications'

/** Where a service's servers are; one that it does not use may be left out. */
export interface ServiceParts {
  readonly databaseUrl: string
  readonly migrateDatabaseUrl: string
  readonly natsBrokerUrl: string
  readonly publicUrl: string
  readonly logDirectory: string
  readonly environment?: Readonly<Record<string, string>>
  /** Lines of the source that read otherwise in this process. */
  readonly mutations?: readonly Mutation[]
  /** Modules that are loaded before the service. */
  readonly preloads?: readonly string[]
}

/** A service as a process of its own, which can be killed. */
export interface ServiceChild {
  readonly child: Child
  readonly url: string
}

const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64url')
const tokenKey = (service: StatefulService): string => Buffer.from(internalTokenKey(service)).toString('base64url')

export const BOOTSTRAP_TOKEN = 'bootstrap-for-tests'

/** Starts one replica of a service from source and waits until it is ready. */
export async function startServiceChild(service: StatefulService, parts: ServiceParts): Promise<ServiceChild> {
  const [port, opsPort] = [await freePort(), await freePort()]
  const directory = join(cloneDirectory, 'services', service)
  const { mutations = [], preloads = [] } = parts
  const modules = [...preloads, ...(mutations.length === 0 ? [] : [join(import.meta.dirname, 'mutate.ts')])]
  const child = await Child.start({
    name: service,
    command: process.execPath,
    arguments: [...modules.flatMap((path) => ['--import', path]), join(directory, 'src/main.ts')],
    directory,
    logFile: join(parts.logDirectory, `${service}-${port}.log`),
    environment: {
      LISTEN_PORT: String(port),
      OPS_PORT: String(opsPort),
      PUBLIC_URL: parts.publicUrl,
      CONN_TIMEOUT: '5',
      DATABASE_URL: parts.databaseUrl,
      MIGRATE_DATABASE_URL: parts.migrateDatabaseUrl,
      NATS_BROKER_URL: parts.natsBrokerUrl,
      INTERNAL_TOKEN_KEY: tokenKey(service),
      INTERNAL_TOKEN_KEYS: statefulServices.map((name) => `${name}=${tokenKey(name as StatefulService)}`).join(','),
      KEY_ENCRYPTION_KEY: key(9),
      MAIL_SECRET_KEY: key(7),
      BOOTSTRAP_TOKEN,
      TRUSTED_HOPS: '0',
      CHAOS_MUTATIONS: JSON.stringify(mutations),
      ...parts.environment,
    },
    isReady: async (signal) => (await fetch(`http://127.0.0.1:${opsPort}/readyz`, { signal })).status === 200,
  })
  return { child, url: `http://127.0.0.1:${port}` }
}
