import { styleText } from 'node:util'
import type { Progress, ProgressStep } from '../progress.ts'

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const FRAME_MS = 80
const NAME_COLUMNS = 22

interface Line {
  readonly name: string
  readonly startedAt: number
  detail: string
}

/**
 * Shows steps that run at the same time. On a terminal the running ones are drawn below the finished ones and redrawn in
 * place; into a pipe goes one plain line when a step ends, and one when it has something new to say.
 */
export class TerminalProgress implements Progress, Disposable {
  readonly #output: NodeJS.WriteStream
  readonly #isLive: boolean
  readonly #running = new Set<Line>()
  #linesDrawn = 0
  #frame = 0
  #timer: NodeJS.Timeout | undefined

  constructor(output: NodeJS.WriteStream = process.stdout) {
    this.#output = output
    this.#isLive = output.isTTY && process.env['TERM'] !== 'dumb'
  }

  begin(name: string): ProgressStep {
    const line: Line = { name, startedAt: performance.now(), detail: '' }
    this.#running.add(line)
    this.#draw()
    this.#timer ??= this.#isLive ? setInterval(() => this.#draw(), FRAME_MS).unref() : undefined
    return {
      update: (detail) => {
        line.detail = detail
        // A fetch is the one thing worth a line before it ends: it takes seconds.
        if (!this.#isLive && detail.startsWith('fetching')) this.#print(`  ${line.name.padEnd(NAME_COLUMNS)} ${detail}`)
        this.#draw()
      },
      done: (detail) => this.#finish(line, 'green', '✓', detail),
      failed: () => this.#finish(line, 'red', '✗', 'failed'),
    }
  }

  /** Prints a line above the steps that run. */
  say(text: string): void {
    this.#print(text)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#erase()
    this.#running.clear()
  }

  #finish(line: Line, colour: 'green' | 'red', mark: string, detail = ''): void {
    if (!this.#running.delete(line)) return
    const seconds = `${((performance.now() - line.startedAt) / 1000).toFixed(2)} s`.padStart(8)
    this.#print(
      `${this.#style(colour, mark)} ${line.name.padEnd(NAME_COLUMNS)} ${seconds}  ${this.#style('dim', detail)}`,
    )
  }

  #print(text: string): void {
    this.#erase()
    this.#output.write(`${text.trimEnd()}\n`)
    this.#draw()
  }

  #draw(): void {
    if (!this.#isLive) return
    this.#erase()
    this.#frame = (this.#frame + 1) % FRAMES.length
    const columns = this.#output.columns
    for (const { name, detail, startedAt } of this.#running) {
      const seconds = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`.padStart(8)
      const text = `${name.padEnd(NAME_COLUMNS)} ${seconds}  ${detail}`.slice(0, Math.max(0, columns - 3))
      this.#output.write(`${styleText('cyan', FRAMES[this.#frame] ?? '')} ${text}\n`)
      this.#linesDrawn += 1
    }
  }

  #erase(): void {
    if (this.#linesDrawn > 0) this.#output.write(`\u001B[${this.#linesDrawn}A\u001B[0J`)
    this.#linesDrawn = 0
  }

  #style(format: 'green' | 'red' | 'dim', text: string): string {
    return this.#isLive ? styleText(format, text) : text
  }
}
