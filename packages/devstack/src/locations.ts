import { join, resolve } from 'node:path'

/** The clone this package belongs to. */
export const cloneDirectory = resolve(import.meta.dirname, '../../..')

/** Everything the stack writes: data, logs, downloads. Ignored by git. */
export const devstackDirectory = join(cloneDirectory, '.devstack')

/** What was downloaded; shared by `pnpm dev` and `pnpm test` of this clone. */
export const cacheDirectory = join(devstackDirectory, 'cache')

/** Which processes run for this clone, and for which launcher. */
export const processesDirectory = join(devstackDirectory, 'processes')

/** Where every server and service keeps its log. */
export const logsDirectory = join(devstackDirectory, 'logs')

/** What commands make for people and other tools. Ignored by git. */
export const artefactsDirectory = join(cloneDirectory, 'artefacts')
