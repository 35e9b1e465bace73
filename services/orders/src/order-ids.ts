import { v7 as uuidv7 } from 'uuid'

const SEQUENCE_MAX = 0x7fff_ffff

/**
 * Ids that bear the very time at which their order was placed, so that the primary key finds orders by date; those of one
 * millisecond follow each other as they were made here.
 */
export class OrderIds {
  #sequence = 0

  next(placedAt: Date): string {
    this.#sequence = this.#sequence === SEQUENCE_MAX ? 0 : this.#sequence + 1
    return uuidv7({ msecs: placedAt.getTime(), seq: this.#sequence })
  }
}
