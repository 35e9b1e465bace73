import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ServiceName } from '@saas/contracts'
import { cloneDirectory } from '../locations.ts'

/** The migrations a service runs, with their digests: the chart's migration Job has a new name when they change. */
export function migrationList(service: ServiceName): string {
  return ['packages/state/migrations', `services/${service}/migrations`]
    .flatMap((folder) =>
      readdirSync(join(cloneDirectory, folder))
        .filter((name) => name.endsWith('.sql'))
        .toSorted()
        .map((name) => `${folder}/${name}`),
    )
    .map(
      (path) =>
        `${createHash('sha256')
          .update(readFileSync(join(cloneDirectory, path)))
          .digest('hex')}  ${path}\n`,
    )
    .join('')
}
