import { common } from '@saas/config'
import { listen, runService } from '../src/index.ts'
import { sampleApp } from './sample.ts'

// A service's main.ts in small, for the tests of runService.
await runService({
  name: 'orders',
  variables: common,
  start: async (config, { logger }) => {
    const running = await listen(sampleApp().app, config)
    logger.info({ url: running.url, opsUrl: running.opsUrl }, 'started')
    return running
  },
})
