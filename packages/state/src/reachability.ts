import { Client } from 'pg'
import { sqlState } from './errors.ts'
import { pause } from './pause.ts'

const PROBE_MS_MAX = 1_500
const PAUSE_MS = 250
/** One may be late because this program was busy. */
const FAILURES_MAX = 2

/**
 * Finds out, by connections of its own, whether a Postgres answers anybody. One that does not even say that it is gone lets every call wait for
 * its whole time-out, which is well while there may be an answer and too long for a program that stops.
 */
export class Reachability {
  readonly #url: string
  readonly #applicationName: string
  #lost = new AbortController()

  constructor(url: string, applicationName: string) {
    this.#url = url
    this.#applicationName = applicationName
  }

  /** Aborted when Postgres answers nobody; another one when it answers again. Never aborted unless it is watched. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** Watches until the signal is aborted; `onSilence` is called each time that nobody is answered. */
  async watch(until: AbortSignal, onSilence: () => void): Promise<void> {
    for (let failures = 0; !until.aborted; await pause(PAUSE_MS, until)) {
      failures = (await this.#answers()) ? 0 : failures + 1
      if (failures >= FAILURES_MAX) {
        this.#lost.abort()
        onSilence()
      } else if (failures === 0 && this.#lost.signal.aborted) this.#lost = new AbortController()
    }
  }

  /** A refusal is an answer. */
  async #answers(): Promise<boolean> {
    const client = new Client({ connectionString: this.#url, application_name: this.#applicationName })
    client.on('error', () => undefined)
    const timer = setTimeout(() => client.connection.stream.destroy(), PROBE_MS_MAX)
    try {
      await client.connect()
      await client.query('select 1')
      await client.end()
      return true
    } catch (error) {
      return sqlState(error) !== undefined
    } finally {
      clearTimeout(timer)
      client.connection.stream.destroy()
    }
  }
}
