/** What an outage is told to: a part of pino's logger. */
interface OutageLogger {
  warn(fields: object, message: string): void
  info(fields: object, message: string): void
}

/** What is said of something that fails again and again. */
interface OutageWords {
  readonly begun: string
  readonly over: string
}

/** Says once that something fails, and once that it works again, however often it is tried in between. */
export class Outage {
  readonly #logger: OutageLogger
  readonly #words: OutageWords
  readonly #fields: object
  #isOn = false

  constructor(logger: OutageLogger, words: OutageWords, fields: object = {}) {
    this.#logger = logger
    this.#words = words
    this.#fields = fields
  }

  get isOn(): boolean {
    return this.#isOn
  }

  failed(error: unknown): void {
    if (!this.#isOn) this.#logger.warn({ ...this.#fields, err: error }, this.#words.begun)
    this.#isOn = true
  }

  worked(): void {
    if (this.#isOn) this.#logger.info(this.#fields, this.#words.over)
    this.#isOn = false
  }
}
