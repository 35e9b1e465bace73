import { computed, effect, signal, untracked } from '@preact/signals'
import {
  AMOUNT_MAX,
  LINES_MAX,
  QUANTITY_MAX,
  STOCK_MAX,
  ordersRoutes,
  productsRoutes,
  type Cart,
  type Money,
  type Order,
  type Product,
} from '@saas/contracts'
import { v7 as uuidv7 } from 'uuid'
import { call } from './client.ts'
import { texts } from './language.ts'
import { sum } from './money.ts'
import { say, sayTrouble } from './notices.ts'
import { isTemporary, Refused } from './send.ts'
import { session, user } from './session.ts'

/**
 * The basket. Before somebody signs in it lives in this browser; at sign-in its lines join the cart that the shop
 * keeps, and from then on every change is the server's answer.
 */
interface Line {
  readonly productId: string
  readonly quantity: number
  /** What it cost when the visitor last looked at it. */
  readonly unitPrice?: Money
}

/** A line as it is sent at sign-in, with the stock there was then. */
interface SentLine extends Line {
  readonly stock?: number
}

const STORED_KEY = 'basket'
const MERGE_KEY = 'basket-merge'
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const lines = signal<readonly Line[]>(stored())
const server = signal<Cart | undefined>(undefined)
/** Of the signed-in cart, made here. */
let changes = 0
/** Why the signed-in cart could not be read. */
export const basketTrouble = signal<unknown>(undefined)

export const basketCount = computed(() => {
  const items = user.value === undefined ? lines.value : (server.value?.items ?? [])
  return items.reduce((total, { quantity }) => total + quantity, 0)
})

export function basketQuantity(productId: string): number {
  const items = user.value === undefined ? lines.value : (server.value?.items ?? [])
  return items.find((item) => item.productId === productId)?.quantity ?? 0
}

/** The signed-in cart; undefined until it was read, and for anonymous visitors. */
export const serverCart = computed(() => server.value)

/** The lines kept in this browser, priced as the shop prices them now. */
export async function readLocalCart(signal: AbortSignal): Promise<Cart> {
  const kept = lines.value
  if (kept.length === 0) return { items: [], total: null }
  const products = await readProducts(
    kept.map(({ productId }) => productId),
    signal,
  )
  const items = kept.map((line) => itemOf(line, products.get(line.productId)))
  return { items, total: sum(items.filter(({ available }) => available)) }
}

function itemOf({ productId, quantity, unitPrice: seen }: Line, product: Product | undefined): Cart['items'][number] {
  const unitPrice = product?.price ?? seen ?? { amount: 0, currency: 'EUR' }
  const item = { productId, quantity, name: product?.name ?? '—', unitPrice, available: product !== undefined }
  return seen === undefined || isSamePrice(seen, unitPrice) ? item : { ...item, priceWas: seen }
}

/** Products by id; those that are gone are missing. */
export async function readProducts(
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, Product>> {
  if (ids.length === 0) return new Map()
  const query = { ids: ids.join(','), limit: Math.min(ids.length, LINES_MAX) }
  const { body } = await call(productsRoutes.listProducts, { query, ...(signal === undefined ? {} : { signal }) })
  return new Map(body.items.map((product) => [product.id, product]))
}

/** Sets how many of a product are wanted, at the price that is shown; none takes it out. */
export async function setQuantity(productId: string, quantity: number, unitPrice: Money): Promise<void> {
  const wanted = Math.max(0, Math.min(quantity, QUANTITY_MAX))
  if (user.value === undefined) {
    const changedLine = { productId, quantity: wanted, unitPrice }
    const isThere = lines.value.some((line) => line.productId === productId)
    const changed = isThere
      ? lines.value.map((line) => (line.productId === productId ? changedLine : line))
      : [...lines.value, changedLine]
    keep(changed.filter((line) => line.quantity > 0))
    return
  }
  const params = { productId }
  const { body } =
    wanted === 0
      ? await call(ordersRoutes.deleteCartItem, { params })
      : await call(ordersRoutes.putCartItem, { params, body: { quantity: wanted } })
  know(body)
}

/** What a change was answered with is newer than what was asked for before it. */
function know(cart: Cart): void {
  changes += 1
  server.value = cart
}

export async function readServerCart(): Promise<void> {
  try {
    basketTrouble.value = undefined
    const changesBefore = changes
    const { body } = await call(ordersRoutes.getCart, {})
    if (changes === changesBefore) server.value = body
  } catch (error) {
    basketTrouble.value = error
  }
}

/** What was asked for by id: undefined where there is no such product any more. */
export type Found = ReadonlyMap<string, Product | undefined>

/** By product, how many there are of what the cart asks more of. What nothing was found out about is taken to be there. */
export function shortagesOf({ items }: Cart, found: Found): ReadonlyMap<string, number> {
  const short = new Map<string, number>()
  for (const { productId, quantity, available } of items) {
    const stock = found.has(productId) ? (found.get(productId)?.stock ?? 0) : quantity
    const left = available ? stock : 0
    if (left < quantity) short.set(productId, left)
  }
  return short
}

/** After an order was placed the shop has emptied the cart. */
export function forgetCart(): void {
  know({ items: [], total: null })
}

/** What an order held, as it is put back: the same when it is sent again. */
export interface PuttingBack {
  readonly key: string
  readonly lines: readonly SentLine[]
}

export async function preparePuttingBack({ lines: held }: Order): Promise<PuttingBack> {
  const wanted = held.map(({ productId, quantity, unitPrice }) => ({ productId, quantity, unitPrice }))
  return { key: uuidv7(), lines: await withStock(wanted) }
}

/** Puts it into the signed-in cart, and says whether there was enough of everything. */
export async function putBack({ key, lines: sent }: PuttingBack): Promise<boolean> {
  const headers = { 'idempotency-key': key }
  know((await call(ordersRoutes.mergeCart, { headers, body: { lines: [...sent] } })).body)
  return isThere(sent)
}

function isThere(sent: readonly SentLine[]): boolean {
  return sent.every(({ productId, quantity }) => basketQuantity(productId) >= quantity)
}

function keep(changed: readonly Line[]): void {
  lines.value = changed.slice(0, LINES_MAX)
  if (changed.length === 0) localStorage.removeItem(STORED_KEY)
  else localStorage.setItem(STORED_KEY, JSON.stringify(lines.value))
}

function stored(): readonly Line[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(STORED_KEY) ?? '[]')
    return Array.isArray(value) ? value.filter(isLine).slice(0, LINES_MAX) : []
  } catch {
    return []
  }
}

function isSamePrice(seen: Money, now: Money): boolean {
  return seen.amount === now.amount && seen.currency === now.currency
}

/** Whether the shop would take it: one line that it refuses would keep all others from being joined, for ever. */
function isLine(value: unknown): value is SentLine {
  const { productId, quantity, unitPrice, stock = 0 } = (value ?? {}) as Partial<Record<keyof SentLine, unknown>>
  const isId = typeof productId === 'string' && ID.test(productId)
  return isId && isCount(quantity, 1, QUANTITY_MAX) && isCount(stock, 0, STOCK_MAX) && isPriceOrNone(unitPrice)
}

function isPriceOrNone(value: unknown): boolean {
  if (value === undefined) return true
  const { amount, currency } = (value ?? {}) as Partial<Record<keyof Money, unknown>>
  return isCount(amount, 0, AMOUNT_MAX) && typeof currency === 'string' && /^[A-Z]{3}$/.test(currency)
}

function isCount(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && Number(value) >= least && Number(value) <= most
}

/** A merge that was sent and whose answer never came: it is sent again as it was, under its key. */
interface SentMerge {
  readonly userId: string
  readonly key: string
  readonly lines: readonly SentLine[]
}

function sentMerge(): SentMerge | undefined {
  try {
    const value = JSON.parse(localStorage.getItem(MERGE_KEY) ?? 'null') as Partial<SentMerge> | null
    const { userId, key, lines: sent } = value ?? {}
    if (typeof userId !== 'string' || typeof key !== 'string' || !Array.isArray(sent)) return undefined
    return { userId, key, lines: sent.filter(isLine) }
  } catch {
    return undefined
  }
}

/**
 * Joins what this browser kept with the shop's cart. It is forgotten here only once the shop has it, and one tab at a
 * time does it: all of them see somebody sign in. What was put aside since an unanswered try is joined after it.
 */
async function merge(): Promise<void> {
  lines.value = stored()
  try {
    basketTrouble.value = undefined
    for (let userId = user.value?.id; userId !== undefined && lines.value.length > 0; userId = user.value?.id) {
      const earlier = sentMerge()
      const sent = earlier?.userId === userId ? earlier : { userId, key: uuidv7(), lines: await withStock(lines.value) }
      localStorage.setItem(MERGE_KEY, JSON.stringify(sent))
      await sendMerge(sent)
    }
    if (server.value === undefined) await readServerCart()
  } catch (error) {
    if (isTemporary(error)) basketTrouble.value = error
    else {
      // What cannot be joined, such as too many products, keeps nobody from the cart that the shop has.
      sayTrouble(error)
      await readServerCart()
    }
  }
}

/** With how many there are now, so that both baskets together ask for no more than that. */
async function withStock(kept: readonly Line[]): Promise<readonly SentLine[]> {
  const products = await readProducts(kept.map(({ productId }) => productId))
  return kept.map((line) => {
    const stock = products.get(line.productId)?.stock
    return stock === undefined ? line : { ...line, stock }
  })
}

async function sendMerge({ key, lines: sent }: SentMerge): Promise<void> {
  try {
    const headers = { 'idempotency-key': key }
    know((await call(ordersRoutes.mergeCart, { headers, body: { lines: [...sent] } })).body)
  } catch (error) {
    // A refusal is certain: the next try is another one.
    if (error instanceof Refused && !isTemporary(error) && error.status !== 401) localStorage.removeItem(MERGE_KEY)
    throw error
  }
  keep(without(stored(), sent))
  localStorage.removeItem(MERGE_KEY)
  if (!isThere(sent)) say(texts.value.order.notAllBack)
}

/** What is there beyond what was sent. */
function without(kept: readonly Line[], sent: readonly Line[]): readonly Line[] {
  const sentQuantities = new Map(sent.map(({ productId, quantity }) => [productId, quantity]))
  return kept
    .map((line) => ({ ...line, quantity: line.quantity - (sentQuantities.get(line.productId) ?? 0) }))
    .filter(({ quantity }) => quantity > 0)
}

async function mergeAlone(): Promise<void> {
  await ('locks' in navigator ? navigator.locks.request('basket-merge', merge) : merge())
}

/** Follows the session: another user has another cart. */
export function followSession(): void {
  let owner: string | undefined
  effect(() => {
    const id = session.value.state === 'signed-in' ? session.value.user.id : undefined
    if (id === owner) return
    owner = id
    untracked(() => {
      server.value = undefined
      if (id !== undefined) void mergeAlone()
    })
  })
  // Another tab or device may have changed the cart.
  addEventListener('focus', () => {
    if (user.value !== undefined && server.value !== undefined) void readServerCart()
  })
  addEventListener('storage', ({ key }) => {
    if (key === STORED_KEY) lines.value = stored()
  })
}
