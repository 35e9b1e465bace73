import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { psqlBinary, run } from '@saas/devstack'
import { newDirectory } from '@saas/testing'
import type { Rendered } from './helm.ts'
import { containerEnvironment, named, secretValues, workloads } from './objects.ts'

/** What the Job that provisions Postgres runs, and what its pod has in its environment. */
export interface Provisioning {
  readonly script: string
  readonly environment: Readonly<Record<string, string>>
}

export function provisioningOf(objects: readonly Rendered[], secrets = secretValues(objects)): Provisioning {
  const job = workloads(objects).find(({ name }) => name.startsWith('shop-postgres-provision-'))
  const script = join(newDirectory('provision'), 'provision.sql')
  writeFileSync(script, fileOf(objects, 'provision.sql'))
  return { script, environment: containerEnvironment(job?.containers.at(-1), secrets) }
}

/** A file of the ConfigMap of Postgres. */
export function fileOf(objects: readonly Rendered[], file: string): string {
  const { data } = named(objects, 'ConfigMap', 'shop-postgres') as unknown as { data: Record<string, string> }
  const content = data[file]
  if (content === undefined) throw new Error(`The ConfigMap has no ${file}`)
  return content
}

/** Runs the statements as the Job does, on another server. */
export async function runProvisioning(
  { script, environment }: Provisioning,
  adminUrl: string,
  passwords: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { path, environment: own } = await psqlBinary()
  const { hostname, port, username, password } = new URL(adminUrl)
  await run(path, ['--no-psqlrc', '--quiet', `--file=${script}`], {
    environment: {
      ...environment,
      ...own,
      PGHOST: hostname,
      PGPORT: port,
      PGUSER: username,
      PGPASSWORD: password,
      ...passwords,
    },
  })
}
