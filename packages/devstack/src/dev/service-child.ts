import { spawn, type ChildProcess } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { forgetChild, recordChild } from '../ledger.ts'
import type { LogFollower, LogView } from './log-view.ts'

export interface ServiceChildOptions {
  readonly name: string
  readonly directory: string
  readonly arguments: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly logFile: string
  readonly logs: LogView
  readonly isReady: (signal: AbortSignal) => Promise<boolean>
}

const PROBE_INTERVAL_MS = 40
const PROBE_TIMEOUT_MS = 2_000
const STOP_TIMEOUT_MS = 10_000
/** A service that ends by itself, or is killed, is started again this often in a minute; then it waits for a change. */
const RESTARTS_MAX = 3
const RESTARTS_WINDOW_MS = 60_000

/** One service under `node --watch`: restarted by Node when a file changes, and by us when it was killed. */
export class ServiceChild implements AsyncDisposable {
  readonly #options: ServiceChildOptions
  #process: ChildProcess
  #ended: Promise<void> = Promise.resolve()
  #hasBeenReady = false
  #isStopping = false
  #hasFailed = false
  #restarts: number[] = []

  constructor(options: ServiceChildOptions) {
    this.#options = options
    this.#process = this.#spawn()
  }

  get name(): string {
    return this.#options.name
  }

  /** Waits until the service is ready. One that fails is shown with its last lines, and awaited until it is mended. */
  async ready(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const probe = AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)])
      if (!this.#hasFailed && (await this.#options.isReady(probe).catch(() => false))) {
        this.#hasBeenReady = true
        return
      }
      await delay(PROBE_INTERVAL_MS)
    }
    signal.throwIfAborted()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true
    await this.#stop()
  }

  async #stop(): Promise<void> {
    const running = this.#process
    const impatience = setTimeout(() => signalGroup(running, 'SIGKILL'), STOP_TIMEOUT_MS)
    // Node passes the signal on to the service and waits for it.
    running.kill('SIGTERM')
    await this.#ended
    clearTimeout(impatience)
  }

  #spawn(): ChildProcess {
    const { name, directory, environment, logFile, logs } = this.#options
    const child = spawn(process.execPath, this.#options.arguments, {
      cwd: directory,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.#hasFailed = false
    this.#ended = new Promise((resolve) => {
      child.once('error', () => resolve())
      child.once('exit', () => {
        if (child.pid !== undefined) forgetChild(child.pid)
        resolve()
      })
    })
    if (child.pid !== undefined) recordChild(name, child.pid)
    const log = logs.follow(name, logFile, child.stdout, child.stderr)
    log.onLine((line) => this.#notice(line, log))
    return child
  }

  /** Node's watch mode says on its output how the program ended. */
  #notice(line: string, log: LogFollower): void {
    if (this.#isStopping) return
    if (!/^(Restarting|Failed running|Completed running) '/.test(line)) return
    if (line.startsWith('Restarting')) {
      this.#hasFailed = false
      return
    }
    this.#hasFailed = true
    const now = Date.now()
    this.#restarts = this.#restarts.filter((time) => now - time < RESTARTS_WINDOW_MS)
    const again = this.#hasBeenReady && this.#restarts.length < RESTARTS_MAX
    const { name, logs, logFile } = this.#options
    const lines = log.lastLines().filter((text) => text !== line)
    logs.print(name, `${name} has stopped. ${again ? 'It is started again.' : 'It starts again when a file changes.'}`)
    if (!again) for (const text of [...lines, `Its whole log is in ${logFile}.`]) logs.print(name, `  ${text}`)
    if (!again) return
    this.#restarts.push(now)
    void this.#startAgain()
  }

  async #startAgain(): Promise<void> {
    await this.#stop()
    if (!this.#isStopping) this.#process = this.#spawn()
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It has ended in between.
  }
}
