import { ConfigError } from '@saas/config'
import { OperationFailed } from './operation-failed.ts'

/** What can be run, each with what it reads from its environment. Loaded when it is asked for. */
const operations = {
  'object-store-keys': async (environment: NodeJS.ProcessEnv, report: (line: string) => void) => {
    const { provideKeys } = await import('./object-store-keys.ts')
    await provideKeys(environment, report)
  },
  backup: async (environment: NodeJS.ProcessEnv, report: (line: string) => void) => {
    const { backUp } = await import('./back-up.ts')
    await backUp(environment, report)
  },
  'list-backups': async (environment: NodeJS.ProcessEnv, report: (line: string) => void) => {
    const { listBackups } = await import('./back-up.ts')
    await listBackups(environment, report)
  },
  restore: async (environment: NodeJS.ProcessEnv, report: (line: string) => void) => {
    const { restore } = await import('./restore.ts')
    await restore(environment, report)
  },
} as const
type Operation = keyof typeof operations

/**
 * Runs the operation that the program's first argument names, with its environment. Ends the program with 1 and a sentence when
 * it cannot be done, and with 2 when nothing of that name is known.
 */
export async function runOperation(name = process.argv[2] ?? ''): Promise<void> {
  if (!(name in operations)) {
    process.stderr.write(
      `${name === '' ? 'Nothing' : name} is no operation; these are: ${Object.keys(operations).join(', ')}\n`,
    )
    process.exitCode = 2
    return
  }
  try {
    await operations[name as Operation](process.env, (line) => process.stdout.write(`${line}\n`))
  } catch (error) {
    if (!(error instanceof OperationFailed || error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
