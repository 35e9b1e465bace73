import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'
import type { TestServers } from './global-setup.ts'

/** The servers that all tests of this run share. */
export function sharedServers(): TestServers {
  return inject('servers')
}

/** A new folder for one fixture; it goes with the run. */
export function newDirectory(name: string): string {
  return mkdtempSync(join(sharedServers().directory, `${name}-`))
}
