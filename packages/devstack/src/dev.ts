import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

const NODE_MAJOR_MIN = 24

/**
 * The program behind `pnpm dev`. It is small because of the cache of compiled modules, which has to be there before anything
 * else is imported: with it a service starts in half the time. The services inherit it through the environment.
 */
if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  process.stderr.write(`Node ${NODE_MAJOR_MIN} is needed and this is ${process.versions.node}; use \`pnpm dev\`.\n`)
  process.exit(1)
}
const cache = join(import.meta.dirname, '../../../.devstack/cache/modules')
enableCompileCache(cache)
process.env['NODE_COMPILE_CACHE'] = cache

const { main } = await import('./dev/main.ts')
const exitCode = await main()
// A handle that a stopped part forgot must not keep the launcher.
process.exit(exitCode)
