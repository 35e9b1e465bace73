import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { statefulServices, type ServiceName } from '@saas/contracts'
import { randomServerSecrets, type ServerSecrets } from '../servers.ts'
import { UsageError } from './options.ts'

/** Every secret of one clone's stack. */
export interface StackSecrets {
  readonly servers: ServerSecrets
  /** By service: the passwords of its database role and of the role that migrates. */
  readonly databasePasswords: Readonly<Record<string, { readonly role: string; readonly migrator: string }>>
  /** By service: the key of the tokens that auth signs for it. */
  readonly internalTokenKeys: Readonly<Record<string, string>>
  readonly keyEncryptionKey: string
  readonly mailSecretKey: string
  readonly bootstrapToken: string
}

const KEY_BYTES = 32

/**
 * The clone's secrets: made at random once, kept in a file that only its owner may read. What a newer version of the clone needs beside
 * them is added.
 *
 * @throws {UsageError} when the file is none that was written here, unless the data that knows its secrets is forgotten too (`isFresh`).
 */
export function loadSecrets(file: string, { isFresh = false } = {}): StackSecrets {
  const made = randomStackSecrets()
  const kept = existsSync(file) ? readSecrets(file, isFresh) : {}
  const secrets = withKept(made, kept)
  if (JSON.stringify(secrets) !== JSON.stringify(kept)) write(file, secrets)
  chmodSync(file, 0o600)
  return secrets
}

function readSecrets(file: string, isFresh: boolean): object {
  try {
    const kept = JSON.parse(readFileSync(file, 'utf8')) as unknown
    if (typeof kept === 'object' && kept !== null) return kept
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  if (isFresh) return {}
  throw new UsageError(
    `${file} is cut off or was changed: put it back, or forget it and the data of earlier runs with --fresh.`,
  )
}

/** What was kept, and below it what was not there yet. */
function withKept<T extends object>(made: T, kept: object): T {
  const both = Object.entries(made).map(([name, value]: [string, unknown]) => {
    const known = (kept as Record<string, unknown>)[name]
    if (typeof value !== 'object' || value === null) return [name, known ?? value] as const
    return [name, withKept(value, known ?? {})] as const
  })
  return { ...kept, ...Object.fromEntries(both) } as T
}

function write(file: string, secrets: StackSecrets): void {
  mkdirSync(dirname(file), { recursive: true })
  const draft = `${file}.draft`
  writeFileSync(draft, `${JSON.stringify(secrets, undefined, 2)}\n`, { mode: 0o600, flush: true })
  renameSync(draft, file)
}

/** New secrets for a stack that nobody keeps. */
export function randomStackSecrets(): StackSecrets {
  const byService = <T>(make: (service: ServiceName) => T): Record<string, T> =>
    Object.fromEntries(statefulServices.map((service) => [service, make(service)]))
  return {
    servers: randomServerSecrets(statefulServices),
    databasePasswords: byService(() => ({ role: secret(), migrator: secret() })),
    internalTokenKeys: byService(() => secret()),
    keyEncryptionKey: secret(),
    mailSecretKey: secret(),
    bootstrapToken: secret(),
  }
}

function secret(): string {
  return randomBytes(KEY_BYTES).toString('base64url')
}
