import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { serviceNames, statefulServices } from '@saas/contracts'
import { provisionService } from '@saas/state'
import { provisionOf } from './dev/environment.ts'
import { readOptions, UsageError } from './dev/options.ts'
import { choosePorts } from './dev/public-ports.ts'
import { loadSecrets } from './dev/secrets.ts'
import { accountsOf, seed } from './dev/seed.ts'
import { accountLines } from './dev/stack-state.ts'
import { TerminalProgress } from './dev/terminal-progress.ts'
import { CONTAINER_PORTS, compose, composeArguments, composeProject } from './docker/compose.ts'
import { composeServers, writeComposeFiles } from './docker/compose.ts'
import { whatDockerLacks } from './docker/engine.ts'
import { buildImages } from './docker/images.ts'
import { devstackDirectory } from './locations.ts'
import { freePort } from './ports.ts'
import { runStep, type Progress } from './progress.ts'

const START_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 60_000
const READY_TIMEOUT_MS = 40_000

/** Of the administrator whose data is in the volumes. */
const totpFile = join(devstackDirectory, 'shop-admin-totp-secret')

/** Runs inside a container, where there is nothing but Node, until the service says that it is ready. */
const untilReady = `const end = Date.now() + 30_000
  for (;;) {
    const answer = await fetch('http://127.0.0.1:${CONTAINER_PORTS.opsPort}/readyz').catch(() => undefined)
    if (answer?.ok) process.exit(0)
    if (Date.now() > end) { console.error(await answer?.text() ?? 'it does not listen'); process.exit(1) }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }`

/** The whole product in containers: `node packages/devstack/src/compose.ts`. Ctrl-C stops it; its data stays in volumes. */
if (import.meta.main) process.exitCode = await main()

async function main(): Promise<number> {
  const project = composeProject('shop')
  using progress = new TerminalProgress()
  const stop = async (): Promise<void> => {
    await compose(project, ['--profile', 'shop', 'stop'], STOP_TIMEOUT_MS)
  }
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve())
  })
  try {
    const missing = await whatDockerLacks({ isComposeNeeded: true })
    if (missing !== undefined) throw new UsageError(`The shop runs in containers here, but ${missing}.`)
    const urls = await start(progress, stop)
    progress[Symbol.dispose]()
    process.stdout.write(
      [
        '',
        `  Shop       ${urls.edge}`,
        `  Mailbox    ${urls.mailbox}`,
        '',
        ...accountLines(accountsOf(totpFile)),
        '',
        '  Ctrl-C stops everything; the data stays in volumes.',
        '\n',
      ].join('\n'),
    )
    const logs = spawn(
      'docker',
      [...composeArguments(project), '--profile', 'shop', 'logs', '--follow', '--since', '1s'],
      {
        stdio: ['ignore', 'inherit', 'inherit'],
      },
    )
    await Promise.race([interrupted, once(logs, 'exit')])
    process.stdout.write('Stopping …\n')
    await stop()
    return 0
  } catch (error) {
    progress.say(error instanceof Error ? error.message : String(error))
    return 1
  }
}

async function start(progress: Progress, stop: () => Promise<void>): Promise<{ edge: string; mailbox: string }> {
  const project = composeProject('shop')
  const secrets = loadSecrets(join(devstackDirectory, 'secrets.json'))
  const wanted = readOptions([]).ports
  // A run that was killed left its containers, and they hold the ports.
  await stop().catch(() => undefined)
  const chosen = (await choosePorts(wanted)).ports
  const ports = {
    postgres: await freePort(),
    nats: await freePort(),
    objectStore: await freePort(),
    smtp: await freePort(),
    mailbox: chosen.mailbox,
    edge: chosen.edge,
  }
  writeComposeFiles(project, secrets, ports)
  await buildImages(progress)
  await runStep(progress, 'Servers', async () => {
    await compose(project, ['up', '--detach', '--wait', ...composeServers], START_TIMEOUT_MS)
    const password = encodeURIComponent(secrets.servers.postgresPassword)
    const adminUrl = `postgres://postgres:${password}@127.0.0.1:${ports.postgres}/postgres`
    for (const service of statefulServices) await provisionService(adminUrl, provisionOf(service, secrets))
  })
  await runStep(progress, 'Migrations, services', () =>
    compose(project, ['--profile', 'shop', 'up', '--detach'], START_TIMEOUT_MS),
  )
  await runStep(progress, 'Services are ready', () =>
    Promise.all(
      serviceNames.map((service) =>
        compose(
          project,
          ['--profile', 'shop', 'exec', '-T', service, '/usr/bin/node', '--input-type=module', '--eval', untilReady],
          READY_TIMEOUT_MS,
        ),
      ),
    ),
  )
  await runStep(progress, 'Accounts and products', () =>
    seed({
      edgeUrl: `http://127.0.0.1:${ports.edge}`,
      mailboxUrl: `http://127.0.0.1:${ports.mailbox}`,
      bootstrapToken: secrets.bootstrapToken,
      totpFile,
      signal: AbortSignal.timeout(START_TIMEOUT_MS),
    }),
  )
  return { edge: `http://localhost:${ports.edge}`, mailbox: `http://localhost:${ports.mailbox}` }
}
