const FIRST_AT = 16
const FACTOR = 2
const EVERY = 65_536

/** Makes a connection forget the plans it keeps; the next run of each statement plans it anew. */
export const FORGET_PLANS = 'discard plans'

/**
 * Says when a connection should forget its plans.
 *
 * Postgres keeps the plan of a prepared statement, and one that was made when a table was nearly empty reads all of it: 20 ms a
 * batch with 5,000 rows where the index takes one. Only analysing the table ends that, and autovacuum looks once a minute. So a
 * connection plans anew after 16 statements and whenever it has run twice as many; later the table is analysed.
 */
export class Plans {
  #runs = 0
  #forgetAt = FIRST_AT

  /** To be asked before each statement. */
  areOld(): boolean {
    this.#runs += 1
    if (this.#runs < this.#forgetAt) return false
    this.#forgetAt += Math.min(this.#forgetAt * (FACTOR - 1), EVERY)
    return true
  }
}
