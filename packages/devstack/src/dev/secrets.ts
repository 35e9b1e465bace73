import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { statefulServices, type ServiceName } from '@saas/contracts'
import { randomServerSecrets, type ServerSecrets } from '../servers.ts'

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

/** The clone's secrets: made at random once, kept in a file that only its owner may read. */
export function loadSecrets(file: string): StackSecrets {
  if (existsSync(file)) {
    chmodSync(file, 0o600)
    return JSON.parse(readFileSync(file, 'utf8')) as StackSecrets
  }
  const secrets = randomStackSecrets()
  mkdirSync(dirname(file), { recursive: true })
  const draft = `${file}.draft`
  writeFileSync(draft, `${JSON.stringify(secrets, undefined, 2)}\n`, { mode: 0o600 })
  renameSync(draft, file)
  return secrets
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
