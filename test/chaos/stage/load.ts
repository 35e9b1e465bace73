import { setTimeout as delay } from 'node:timers/promises'
import type { Dice } from './dice.ts'
import type { Shopper } from './shopper.ts'

const UNITS_MAX = 3
const SHORT_PAUSE_MS = 20

/** Who shops and who keeps the shop. */
export interface People {
  readonly manager: Shopper
  readonly shoppers: readonly Shopper[]
  /** They order nothing but their cart. Of each crowd one at a time, whoever it is. */
  readonly cartShoppers: readonly (readonly Shopper[])[]
}

/** Everybody does one thing after another, each as chance has it, until they are told to stop. */
export async function shopUntil(
  stopped: AbortSignal,
  people: People,
  products: readonly string[],
  dice: Dice,
): Promise<number> {
  let done = 0
  const repeat = async (work: () => Promise<unknown>): Promise<void> => {
    while (!stopped.aborted) {
      await work()
      done += 1
      await delay(dice.between(0, SHORT_PAUSE_MS))
    }
  }
  await Promise.all([
    ...people.shoppers.map((shopper) => repeat(() => orderSomething(shopper, products, dice))),
    ...people.cartShoppers.map((crowd) => repeat(() => orderCart(dice.pick(crowd), products, dice))),
    repeat(async () => {
      const delta = dice.between(-2, 5)
      // A change of 0 is refused.
      await people.manager.changeStock(dice.pick(products), delta < 0 ? delta : delta + 1)
      await delay(SHORT_PAUSE_MS * 5)
    }),
  ])
  return done
}

/** Sometimes clicked twice or asked for again under its key, sometimes regretted. */
async function orderSomething(shopper: Shopper, products: readonly string[], dice: Dice): Promise<void> {
  const wanted = dice.shuffled(products).slice(0, dice.between(1, 2))
  const lines = wanted.map((productId) => ({ productId, quantity: dice.between(1, UNITS_MAX) }))
  const key = crypto.randomUUID()
  const place = async () => await shopper.place(lines, key, dice.between(0, 1))
  const chance = dice.next()
  // A double click; or the same again after the answer, which no process still knows.
  const [order] = await Promise.all(chance < 0.2 ? [place(), place()] : [place()])
  if (chance > 0.8) await place()
  if (order !== undefined && dice.next() < 0.25) await shopper.cancel(order.id)
}

/** The cart is ordered from two tabs at once. */
async function orderCart(shopper: Shopper, products: readonly string[], dice: Dice): Promise<void> {
  await shopper.fillCart(dice.pick(products), dice.between(1, UNITS_MAX))
  await Promise.all([shopper.tryToPlace(undefined, undefined), shopper.tryToPlace(undefined, undefined)])
}
