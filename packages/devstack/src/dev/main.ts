import { styleText } from 'node:util'
import { ServerStartError } from '../child.ts'
import { stopDockerLeftovers } from './docker-servers.ts'
import { onLauncherGone } from './launcher.ts'
import { LogView } from './log-view.ts'
import { readOptions, usage, UsageError } from './options.ts'
import { choosePorts } from './public-ports.ts'
import { ResourceGroup } from './resource-group.ts'
import { startStack } from './stack.ts'
import { accountLines, type StackState } from './stack-state.ts'
import { TerminalProgress } from './terminal-progress.ts'
import { claimDirectory, DirectoryInUseError, killChildren, stopLeftovers, stopOwnChildren } from '../ledger.ts'
import { devstackDirectory } from '../locations.ts'

/** `pnpm dev`: brings everything up, shows what happens, and takes everything down on Ctrl-C. Answers the exit code. */
export async function main(): Promise<number> {
  const stop = stopRequest()
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    process.stdout.write(usage)
    return 0
  }
  let release: () => void
  try {
    release = claimDirectory(devstackDirectory)
  } catch (error) {
    if (!(error instanceof DirectoryInUseError)) throw error
    return refuse(`This clone's stack is running already (process ${error.pid}).`)
  }
  const logs = new LogView()
  const progress = new TerminalProgress()
  const [parts, servers] = [new ResourceGroup(), new ResourceGroup()]
  let isStarting = false
  try {
    const options = readOptions(process.argv.slice(2))
    const leftovers = await stopLeftovers()
    if (leftovers.length > 0) progress.say(`Stopped what a killed run left behind: ${leftovers.join(', ')}.`)
    if (await stopDockerLeftovers()) progress.say('Stopped the containers that a killed run left behind.')
    const { ports, notes } = await choosePorts(options.ports)
    isStarting = true
    const starting = startStack({ options, ports, progress, logs, parts, servers, signal: stop.signal })
    const state = await Promise.race([starting, stop.requested])
    progress[Symbol.dispose]()
    if (state !== undefined) {
      process.stdout.write(summary(state, notes, performance.now()))
      logs.show()
      await stop.requested
    }
    return Number(process.exitCode ?? 0)
  } catch (error) {
    progress[Symbol.dispose]()
    if (error instanceof UsageError || error instanceof ServerStartError) return refuse(error.message)
    return refuse(error instanceof Error ? (error.stack ?? error.message) : String(error))
  } finally {
    if (isStarting) process.stdout.write('Stopping …\n')
    await parts[Symbol.asyncDispose]()
    await servers[Symbol.asyncDispose]()
    await stopOwnChildren()
    release()
  }
}

/** Ctrl-C and SIGTERM, and the end of the pnpm that started us, ask to stop; a second Ctrl-C does not wait. */
function stopRequest(): { readonly signal: AbortSignal; readonly requested: Promise<undefined> } {
  const controller = new AbortController()
  const { promise, resolve } = Promise.withResolvers<undefined>()
  const request = (): void => {
    controller.abort(new Error('stopped'))
    resolve(undefined)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (!controller.signal.aborted) return request()
      killChildren()
      process.exit(1)
    })
  }
  // Whoever read our output is gone, as with `pnpm dev | head`: nobody could stop us by hand any more.
  for (const output of [process.stdout, process.stderr]) output.on('error', request)
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
      process.exitCode = 1
      request()
    })
  }
  onLauncherGone(request)
  return { signal: controller.signal, requested: promise }
}

function summary({ urls, accounts }: StackState, notes: readonly string[], elapsedMs: number): string {
  const bold = (text: string): string => (process.stdout.isTTY ? styleText('bold', text) : text)
  const row = (name: string, value: string): string => `  ${name.padEnd(10)} ${value}`
  return [
    '',
    row('Shop', bold(urls.edge)),
    row('Mailbox', bold(urls.mailbox)),
    row('API docs', bold(urls.docs)),
    '',
    ...accountLines(accounts),
    '',
    ...notes.map((note) => `  ${note}`),
    `  Ready in ${(elapsedMs / 1000).toFixed(1)} s. Logs are in .devstack/logs. Ctrl-C stops everything.`,
    '',
    '',
  ].join('\n')
}

function refuse(message: string): number {
  process.stderr.write(`${message}\n`)
  return 1
}
