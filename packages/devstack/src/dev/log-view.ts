import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { styleText } from 'node:util'
import { prettyFactory } from 'pino-pretty'

const COLOURS = ['cyan', 'magenta', 'green', 'yellow', 'blue', 'red'] as const
const NAME_COLUMNS = 14
const LINES_KEPT = 15

/** Shows the logs of all services as one stream, each line under its service's name and colour, and keeps them in files. */
export class LogView {
  readonly #output: NodeJS.WriteStream
  readonly #colours = new Map<string, (typeof COLOURS)[number]>()
  readonly #pretty: (line: string) => string
  /** Before the stack is up only its progress is shown; every line is in the files from the start. */
  #isShown = false

  constructor(output: NodeJS.WriteStream = process.stdout) {
    this.#output = output
    this.#pretty = prettyFactory({
      colorize: output.isTTY,
      ignore: 'pid,hostname,name,service,time',
      singleLine: true,
      messageKey: 'message',
      timestampKey: 'time',
    }) as (line: string) => string
  }

  show(): void {
    this.#isShown = true
  }

  /** Follows what a process prints. */
  follow(name: string, file: string, ...streams: readonly Readable[]): LogFollower {
    mkdirSync(dirname(file), { recursive: true })
    return new LogFollower(createWriteStream(file, { flags: 'a' }), streams, (line) => {
      if (this.#isShown) this.print(name, this.#readable(line))
    })
  }

  /** Prints a line of our own under a name, shown at once. */
  print(name: string, text: string): void {
    if (!this.#colours.has(name)) this.#colours.set(name, COLOURS[this.#colours.size % COLOURS.length] ?? 'cyan')
    const label = name.padEnd(NAME_COLUMNS)
    const shown = this.#output.isTTY ? styleText(this.#colours.get(name) ?? 'cyan', label) : label
    for (const line of text.split('\n')) if (line.trim() !== '') this.#output.write(`${shown} ${line}\n`)
  }

  #readable(line: string): string {
    return line.startsWith('{') ? this.#pretty(line) : line
  }
}

/** The log of one process: its last lines, and a way to hear each as it comes. */
export class LogFollower {
  readonly #listeners = new Set<(line: string) => void>()
  readonly #last: string[] = []

  constructor(file: WriteStream, streams: readonly Readable[], show: (line: string) => void) {
    for (const stream of streams) {
      createInterface({ input: stream }).on('line', (line) => {
        file.write(`${line}\n`)
        this.#last.push(line)
        if (this.#last.length > LINES_KEPT) this.#last.shift()
        show(line)
        for (const listener of this.#listeners) listener(line)
      })
    }
  }

  lastLines(): readonly string[] {
    return this.#last
  }

  onLine(listener: (line: string) => void): void {
    this.#listeners.add(listener)
  }
}
