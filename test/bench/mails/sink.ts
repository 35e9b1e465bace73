import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('sink-main.ts', import.meta.url))

/** What the sink has taken since it was asked to start over. */
export interface Taken {
  readonly count: number
  /** Of all mails, as they came over the wire. */
  readonly bytes: number
  /** Milliseconds since the epoch, with fractions. */
  readonly firstAtMs: number
  readonly lastAtMs: number
  /** When the mail about each order came, by the order's id. */
  readonly atMsByOrder: Readonly<Record<string, number>>
}

/** A mail server in a process of its own that takes every mail and keeps none: it costs as little as one can. */
export class Sink implements AsyncDisposable {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.url = `smtp://127.0.0.1:${port}`
  }

  static async start(): Promise<Sink> {
    const child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
    const [port] = (await once(child, 'message')) as [number]
    return new Sink(child, port)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  async taken(): Promise<Taken> {
    return await this.#ask('taken')
  }

  async startOver(): Promise<void> {
    await this.#ask('start over')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }

  async #ask(question: string): Promise<Taken> {
    this.#child.send(question)
    const [answer] = (await once(this.#child, 'message')) as [Taken]
    return answer
  }
}
