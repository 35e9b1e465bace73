import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { readOptions, UsageError } from './dev/options.ts'
import { choosePorts } from './dev/public-ports.ts'
import { loadSecrets } from './dev/secrets.ts'
import { accountsOf, seed } from './dev/seed.ts'
import { accountLines } from './dev/stack-state.ts'
import { TerminalProgress } from './dev/terminal-progress.ts'
import { compose, composeArguments, composeProject } from './docker/compose.ts'
import { whatDockerLacks } from './docker/engine.ts'
import { buildImages } from './docker/images.ts'
import { freeComposePorts, startComposeServers, startComposeServices, totpFile } from './docker/shop.ts'
import { devstackDirectory } from './locations.ts'
import { runStep, type Progress } from './progress.ts'

const SEED_TIMEOUT_MS = 120_000
/** The edge, then the services, then the servers, each in its own time. */
const STOP_TIMEOUT_MS = 90_000

/** `pnpm compose`: the whole product in containers. Ctrl-C stops it; its data stays in volumes. */
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
  const ports = { ...(await freeComposePorts()), mailbox: chosen.mailbox, edge: chosen.edge }
  await buildImages(progress)
  await startComposeServers(project, secrets, ports, progress)
  await startComposeServices(project, progress)
  await runStep(progress, 'Accounts and products', () =>
    seed({
      edgeUrl: `http://127.0.0.1:${ports.edge}`,
      mailboxUrl: `http://127.0.0.1:${ports.mailbox}`,
      bootstrapToken: secrets.bootstrapToken,
      totpFile,
      signal: AbortSignal.timeout(SEED_TIMEOUT_MS),
    }),
  )
  return { edge: `http://localhost:${ports.edge}`, mailbox: `http://localhost:${ports.mailbox}` }
}
