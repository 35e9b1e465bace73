import { Pool } from 'pg'
import type { Queryable } from '../checkers/evidence.ts'

const CONNECTIONS_MAX = 2

/** A database as the superuser sees it, on connections that outlive a query but not the server. */
export class Reader implements Queryable, AsyncDisposable {
  readonly #pool: Pool

  constructor(connectionString: string) {
    this.#pool = new Pool({ connectionString, application_name: 'test', max: CONNECTIONS_MAX })
    this.#pool.on('connect', (client) => client.on('error', () => undefined))
    this.#pool.on('error', () => undefined)
  }

  async query<Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.#pool.query(text, [...values])).rows as Row[]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end()
  }
}
