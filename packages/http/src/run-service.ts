import { ConfigError, readConfig, systemClock, type Clock, type Config, type Variables } from '@saas/config'
import type { ServiceName } from '@saas/contracts'
import { startTracing, type Tracing } from '@saas/tracing'
import { createLogger, type Logger } from './logger.ts'

/** What every service is started with besides its configuration. */
export interface ServiceContext {
  readonly logger: Logger
  readonly clock: Clock
  /** Where spans go, when the configuration names a receiver. */
  readonly tracing?: Tracing | undefined
}

/**
 * The body of every `main.ts`: reads the configuration, starts the service, and stops it on SIGTERM or SIGINT.
 *
 * Prints every configuration problem by name and exits with 1 when there is one. A second signal, and an error that
 * nobody caught, exit with 1 at once: what runs then is repeated from the database.
 */
export async function runService<V extends Variables>(options: {
  readonly name: ServiceName
  readonly variables: V
  readonly start: (config: Config<V>, context: ServiceContext) => Promise<AsyncDisposable>
}): Promise<void> {
  const config = readConfigOrExit(options.name, options.variables)
  const level = 'logLevel' in config ? String(config['logLevel']) : 'info'
  const logger = createLogger(options.name, level)
  const fail = (error: unknown, message: string): never => {
    logger.fatal({ err: error }, message)
    process.exit(1)
  }
  process.on('uncaughtException', (error) => fail(error, 'service failed'))
  process.on('unhandledRejection', (error) => fail(error, 'service failed'))
  const stopRequested = Promise.withResolvers<void>()
  let signals = 0
  const onSignal = (): void => {
    signals += 1
    if (signals > 1) process.exit(1)
    stopRequested.resolve()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  try {
    const tracing = await tracingOf(options.name, config, logger)
    const service = await options.start(config, { logger, clock: systemClock, tracing })
    await stopRequested.promise
    await service[Symbol.asyncDispose]()
    await tracing?.[Symbol.asyncDispose]()
  } catch (error) {
    fail(error, 'service failed')
  }
  process.exit(0)
}

function readConfigOrExit<V extends Variables>(name: ServiceName, variables: V): Config<V> {
  try {
    return readConfig(variables)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${name}: ${error.message}\n`)
    return process.exit(1)
  }
}

async function tracingOf(service: ServiceName, config: object, logger: Logger): Promise<Tracing | undefined> {
  const { otlpEndpoint: endpoint, traceShare: share = 1 } = config as { otlpEndpoint?: string; traceShare?: number }
  return endpoint === undefined ? undefined : await startTracing({ service, endpoint, share, logger })
}
