import { createLogger } from '../src/index.ts'

// Logs to standard output and ends as it is told, for the tests of what a log keeps.
const logger = createLogger('orders', 'info')
for (let n = 0; n < 5_000; n += 1) logger.info({ n }, 'counted')
logger.info({ text: 'ü'.repeat(100_000) }, 'long')
logger.info('last')
if (process.argv[2] === 'killed') {
  logger.fatal('over')
  process.kill(process.pid, 'SIGKILL')
}
process.exit(0)
