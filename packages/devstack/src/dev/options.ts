import { parseArgs } from 'node:util'
import { serviceNames, type ServiceName } from '@saas/contracts'

/** What `pnpm dev` was asked for. */
export interface DevOptions {
  /** Forget all data of earlier runs first. */
  readonly fresh: boolean
  readonly services: readonly ServiceName[]
  /** `auto` uses a Docker engine that has or can pull the images. */
  readonly docker: 'auto' | 'always' | 'never'
  readonly ports: { readonly [P in PublicPortName]?: number }
}

export type PublicPortName = 'edge' | 'mailbox' | 'docs'

/** Something the user asked for cannot be; the message says what and how to go on. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export const usage = `Usage: pnpm dev [--fresh] [--only auth,products,…] [--docker | --no-docker]

  --fresh       forget the data of earlier runs
  --only a,b    start only these services: ${serviceNames.join(', ')}
  --docker      take the servers from Docker images, or fail
  --no-docker   take the servers as local processes

  SAAS_EDGE_PORT, SAAS_MAILBOX_PORT, SAAS_DOCS_PORT move the three ports people use (8080, 8025, 8081).
`

const PORT_MAX = 65_535

/** Reads the command line and the environment. Throws UsageError naming everything that is wrong. */
export function readOptions(arguments_: readonly string[], environment = process.env): DevOptions {
  const { values } = parse(arguments_)
  if (values.docker === true && values['no-docker'] === true) {
    throw new UsageError('--docker and --no-docker exclude each other.')
  }
  return {
    fresh: values.fresh ?? false,
    services: readServices(values.only),
    docker: values.docker === true ? 'always' : values['no-docker'] === true ? 'never' : 'auto',
    ports: {
      ...readPort('edge', 'SAAS_EDGE_PORT', environment),
      ...readPort('mailbox', 'SAAS_MAILBOX_PORT', environment),
      ...readPort('docs', 'SAAS_DOCS_PORT', environment),
    },
  }
}

function parse(arguments_: readonly string[]) {
  try {
    return parseArgs({
      // pnpm passes the `--` of `pnpm dev -- --fresh` on.
      args: arguments_.filter((argument) => argument !== '--'),
      options: {
        fresh: { type: 'boolean' },
        only: { type: 'string' },
        docker: { type: 'boolean' },
        'no-docker': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
  }
}

function readServices(only: string | undefined): readonly ServiceName[] {
  if (only === undefined) return serviceNames
  const wanted = only.split(',').map((name) => name.trim())
  const unknown = wanted.filter((name) => !(serviceNames as readonly string[]).includes(name))
  if (unknown.length > 0) {
    throw new UsageError(`There is no service ${unknown.join(', ')}; there are ${serviceNames.join(', ')}.`)
  }
  return serviceNames.filter((name) => wanted.includes(name))
}

function readPort(
  name: PublicPortName,
  variable: string,
  environment: NodeJS.ProcessEnv,
): { readonly [P in PublicPortName]?: number } {
  const text = environment[variable]
  if (text === undefined || text === '') return {}
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > PORT_MAX) {
    throw new UsageError(`${variable} is ${JSON.stringify(text)}; a port is a number between 1 and ${PORT_MAX}.`)
  }
  return { [name]: port }
}
