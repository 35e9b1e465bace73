import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, openSync, closeSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { forgetChild, recordChild } from './ledger.ts'
import { lastLines } from './log-file.ts'

/** What one server is: how its process is started and when it counts as ready. */
export interface ChildOptions {
  readonly name: string
  readonly command: string
  readonly arguments: readonly string[]
  readonly logFile: string
  readonly directory?: string
  readonly environment?: Readonly<Record<string, string>>
  /** The user and group the process runs as; only root may set it. */
  readonly userId?: number
  /** Resolves to true as soon as the server serves. It is asked again and again until then. */
  readonly isReady: (signal: AbortSignal) => Promise<boolean>
  /** How the server is asked to stop. */
  readonly stopSignal?: NodeJS.Signals
  readonly readyTimeoutMs?: number
}

const READY_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 8_000
const PROBE_INTERVAL_MS = 15
const PROBE_TIMEOUT_MS = 2_000
const LOG_LINES_SHOWN = 15

/** A server could not start; the message holds the last lines of its log. */
export class ServerStartError extends Error {
  override readonly name = 'ServerStartError'
}

/**
 * A server as a child process in its own process group. It writes straight to its log file, so it needs nobody to read a
 * pipe, and Ctrl-C on the terminal reaches only the launcher, which stops its children in order.
 */
export class Child implements AsyncDisposable {
  readonly #options: ChildOptions
  #process: ChildProcess | undefined
  #exit: Promise<void> = Promise.resolve()

  private constructor(options: ChildOptions) {
    this.#options = options
  }

  /** Starts the server and waits until it is ready. Throws ServerStartError. */
  static async start(options: ChildOptions): Promise<Child> {
    const child = new Child(options)
    await child.#spawn()
    return child
  }

  get name(): string {
    return this.#options.name
  }

  /** The running process, undefined while it is stopped or killed. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  get logFile(): string {
    return this.#options.logFile
  }

  /** Ends the server with a signal (SIGKILL unless told otherwise) and waits until it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#process?.kill(signal)
    await this.#exit
  }

  /** Resolves when the process that runs now has ended, for whatever reason. */
  async ended(): Promise<void> {
    await this.#exit
  }

  /** Freezes the server: its sockets stay open and nobody answers. */
  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  /** Lets a paused server go on. */
  resume(): void {
    this.#process?.kill('SIGCONT')
  }

  /** Stops the server if it runs and starts it again on the same port and the same data. */
  async restart(): Promise<void> {
    await this.stop()
    await this.#spawn()
  }

  /** Asks the server to stop and ends it when it has not after eight seconds. */
  async stop(): Promise<void> {
    const running = this.#process
    if (running === undefined) return
    running.kill('SIGCONT')
    running.kill(this.#options.stopSignal ?? 'SIGTERM')
    const impatience = setTimeout(() => running.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await this.#exit
    clearTimeout(impatience)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #spawn(): Promise<void> {
    const { name, command, logFile, directory, environment, userId, isReady } = this.#options
    mkdirSync(dirname(logFile), { recursive: true })
    const log = openSync(logFile, 'a')
    const running = spawn(command, this.#options.arguments, {
      cwd: directory,
      env: { ...process.env, ...environment },
      stdio: ['ignore', log, log],
      detached: true,
      ...(userId === undefined ? {} : { uid: userId, gid: userId }),
    })
    closeSync(log)
    let failure: string | undefined
    const ended = new Promise<void>((resolve) => {
      running.once('error', (error) => {
        failure ??= error.message
        resolve()
      })
      running.once('exit', (code, signal) => {
        // One that we end because it is late has failed before.
        failure ??= signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`
        resolve()
      })
    })
    this.#exit = this.#forgetWhen(ended, running)
    this.#process = running
    if (running.pid !== undefined) recordChild(name, running.pid)

    const deadline = Date.now() + (this.#options.readyTimeoutMs ?? READY_TIMEOUT_MS)
    for (;;) {
      if (failure !== undefined) break
      if (await isReady(AbortSignal.timeout(PROBE_TIMEOUT_MS)).catch(() => false)) return
      if (Date.now() > deadline) {
        failure = `it was not ready after ${(this.#options.readyTimeoutMs ?? READY_TIMEOUT_MS) / 1000} s`
        await this.kill()
        break
      }
      await delay(PROBE_INTERVAL_MS)
    }
    const lines = await lastLines(logFile, LOG_LINES_SHOWN)
    throw new ServerStartError(
      `${name} did not start: ${failure}. Its log (${logFile}) ends with:\n${lines.map((line) => `  ${line}`).join('\n')}`,
    )
  }

  async #forgetWhen(ended: Promise<void>, running: ChildProcess): Promise<void> {
    await ended
    if (this.#process === running) this.#process = undefined
    if (running.pid !== undefined) forgetChild(running.pid)
  }
}
