import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { statefulServices } from '@saas/contracts'
import { provisionService } from '@saas/state'
import { provisionOf } from './dev/environment.ts'
import { loadSecrets } from './dev/secrets.ts'
import { compose, composeArguments, composeServers, writeComposeFiles } from './docker/compose.ts'
import { devstackDirectory } from './locations.ts'

const START_TIMEOUT_MS = 120_000
/** The ports of `docker/compose.yaml` where nobody sets others. */
const ports = { postgres: 5432, nats: 4222, objectStore: 9100, smtp: 1025, mailbox: 8025, edge: 8080 }

/** The whole product in containers: `node packages/devstack/src/compose.ts`. Ctrl-C stops it; its data stays in volumes. */
if (import.meta.main) {
  const project = { directory: join(devstackDirectory, 'compose'), name: 'saas' }
  const secrets = loadSecrets(join(devstackDirectory, 'secrets.json'))
  writeComposeFiles(project, secrets, ports)
  await compose(project, ['up', '--detach', '--wait', ...composeServers], START_TIMEOUT_MS)
  const password = encodeURIComponent(secrets.servers.postgresPassword)
  for (const service of statefulServices) {
    await provisionService(
      `postgres://postgres:${password}@127.0.0.1:${ports.postgres}/postgres`,
      provisionOf(service, secrets),
    )
  }
  const shop = spawn('docker', [...composeArguments(project), '--profile', 'shop', 'up', '--build'], {
    stdio: 'inherit',
  })
  // Ctrl-C reaches the compose program as well; it stops the containers, and we end after it.
  process.on('SIGINT', () => undefined)
  const [code] = (await once(shop, 'exit')) as [number | null]
  process.exitCode = code ?? 1
}
