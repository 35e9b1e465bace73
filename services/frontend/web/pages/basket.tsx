import { useSignal } from '@preact/signals'
import type { Cart, Money, Product } from '@saas/contracts'
import { useEffect, useRef } from 'preact/hooks'
import {
  basketCount,
  basketTrouble,
  readLocalCart,
  readServerCart,
  serverCart,
  setQuantity,
  shortagesOf,
} from '../basket.ts'
import { isUnanswered, placeOrder } from '../checkout.ts'
import { Icon } from '../components/icon.tsx'
import { Page } from '../components/page.tsx'
import { ProductPicture } from '../components/product-picture.tsx'
import { Quantity } from '../components/quantity.tsx'
import { Empty, Failure, Loading } from '../components/states.tsx'
import { describe } from '../errors.ts'
import { count, money } from '../formats.ts'
import { texts } from '../language.ts'
import { useLoaded } from '../loaded.ts'
import { useCurrentProducts } from '../loaded-products.ts'
import { say, sayTrouble } from '../notices.ts'
import { go, linkTo } from '../router.ts'
import { Refused } from '../send.ts'
import { session, user } from '../session.ts'

export function BasketPage() {
  const { basket } = texts.value
  const { state } = session.value
  const wasSignedIn = useRef(false)
  useEffect(() => {
    // What was shown is not gone: it is there again after signing in.
    if (state === 'anonymous' && wasSignedIn.current) {
      go(linkTo('login', {}, { next: linkTo('basket') }), { replace: true })
    }
    wasSignedIn.current = state === 'signed-in'
  }, [state])
  return (
    <Page title={basket.title} kind="basket">
      {state === 'unknown' ? <Loading /> : user.value === undefined ? <LocalBasket /> : <ServerBasket />}
    </Page>
  )
}

function LocalBasket() {
  const shown = useSignal<Cart | undefined>(undefined)
  const { loaded, reload } = useLoaded(readLocalCart, [basketCount.value])
  const current = loaded.value
  useEffect(() => {
    if (current.state === 'ready') shown.value = current.value
  }, [current])
  if (current.state === 'failed') return <Failure error={current.error} retry={reload} />
  // While a new quantity is being priced, what was there stays.
  return shown.value === undefined ? <Loading /> : <BasketView cart={shown.value} />
}

function ServerBasket() {
  useEffect(() => {
    if (serverCart.peek() !== undefined) void readServerCart()
  }, [])
  if (serverCart.value !== undefined) return <BasketView cart={serverCart.value} />
  if (basketTrouble.value === undefined) return <Loading />
  return <Failure error={basketTrouble.value} retry={() => void readServerCart()} />
}

function BasketView({ cart }: { cart: Cart }) {
  const { basket } = texts.value
  const { items, total } = cart
  const { found, read } = useCurrentProducts(items.map(({ productId }) => productId))
  const shortages = shortagesOf(cart, found)
  const isThere = async (): Promise<boolean> => shortagesOf(cart, await read()).size === 0
  const fit = async (): Promise<void> => {
    for (const [productId, left] of shortagesOf(cart, await read())) {
      const item = items.find((known) => known.productId === productId)
      if (item !== undefined) await setQuantity(productId, left, item.unitPrice)
    }
    say(basket.fitted)
  }
  if (items.length === 0) {
    return isUnanswered.value && user.value !== undefined ? (
      <div class="summary">
        <Checkout total={null} isThere={isThere} />
      </div>
    ) : (
      <Empty title={basket.empty} hint={basket.emptyHint}>
        <a class="button" href={linkTo('shop')}>
          {basket.browse}
        </a>
      </Empty>
    )
  }
  const available = items.filter((item) => item.available)
  const currencies = new Set(available.map(({ unitPrice }) => unitPrice.currency))
  const hindrance = currencies.size > 1 ? basket.mixed : basket.tooLarge
  return (
    <div class="basket-room">
      <ul class="lines">
        {items.map((item) => (
          <BasketLine
            key={item.productId}
            item={item}
            product={found.get(item.productId)}
            left={shortages.get(item.productId)}
          />
        ))}
      </ul>
      <section class="summary" aria-labelledby="summary">
        <h2 id="summary">{basket.summary}</h2>
        <p class="total" role="status">
          <span>{basket.total}</span>
          <strong class="price">{total === null ? '—' : money(total)}</strong>
        </p>
        {total === null && available.length > 0 && <p class="finding">{hindrance}</p>}
        {shortages.size > 0 && !isUnanswered.value ? (
          <Fitting fit={fit} />
        ) : user.value === undefined ? (
          <a class="button wide" href={linkTo('login', {}, { next: linkTo('basket') })}>
            {basket.logInToOrder}
          </a>
        ) : (
          <Checkout total={total} isThere={isThere} />
        )}
        <p class="hint">{basket.noCharge}</p>
      </section>
    </div>
  )
}

function BasketLine(props: { item: Cart['items'][number]; product: Product | undefined; left: number | undefined }) {
  const { basket, product: words } = texts.value
  const { item, product, left } = props
  const { productId, name, quantity, unitPrice, priceWas, available } = item
  /** Where the quantity is on its way to: who clicks five times wants five more. */
  const wanted = useSignal<number | undefined>(undefined)
  const change = async (to: number): Promise<void> => {
    const isOnItsWay = wanted.value !== undefined
    wanted.value = to
    if (isOnItsWay) return
    try {
      for (let sent: number | undefined; sent !== wanted.value;) {
        sent = wanted.value
        await setQuantity(productId, sent, unitPrice)
      }
      if (wanted.value === 0) say(basket.removed(name))
    } catch (error) {
      sayTrouble(error)
    } finally {
      wanted.value = undefined
    }
  }
  return (
    <li class={left === 0 ? 'line gone' : 'line'}>
      <div class="line-picture">
        <ProductPicture product={{ id: productId, pictures: product?.pictures }} width="84px" />
      </div>
      <div class="line-words">
        <h2>
          <bdi>{available ? <a href={linkTo('product', { id: productId })}>{name}</a> : name}</bdi>
        </h2>
        {available && (
          <p class="hint">
            {money(unitPrice)} {basket.each}
            {left === undefined && product !== undefined && product.stock <= 5 && (
              <span class="stock few">{words.stock(product.stock, quantity)}</span>
            )}
          </p>
        )}
        {left === 0 && <p class="finding">{available ? basket.soldOut : basket.gone}</p>}
        {left !== undefined && left > 0 && (
          <p class="finding">
            {words.stock(left, quantity)}{' '}
            <button type="button" class="plain" onClick={() => void change(left)}>
              {basket.takeLeft(count(left))}
            </button>
          </p>
        )}
        {available && priceWas !== undefined && (
          <p class="price-change">
            {basket.priceChanged(money(priceWas))}{' '}
            <button type="button" class="plain" onClick={() => void change(quantity)}>
              {basket.priceSeen}
            </button>
          </p>
        )}
      </div>
      <div class="line-controls">
        {left !== 0 && (
          <Quantity value={wanted.value ?? quantity} label={basket.quantityOf(name)} change={(to) => void change(to)} />
        )}
        <button type="button" class="plain" onClick={() => void change(0)}>
          {texts.value.remove}
          <span class="visually-hidden"> {name}</span>
        </button>
      </div>
      {left !== 0 && (
        <p class="line-total price">{money({ amount: unitPrice.amount * quantity, currency: unitPrice.currency })}</p>
      )}
    </li>
  )
}

/** Instead of ordering what is not there. */
function Fitting({ fit }: { fit: () => Promise<void> }) {
  const { basket } = texts.value
  const isFitting = useSignal(false)
  const act = async ({ detail }: MouseEvent): Promise<void> => {
    // The second click of two was meant for what stood here before.
    if (detail > 1 || isFitting.value) return
    isFitting.value = true
    await fit().catch(sayTrouble)
    isFitting.value = false
  }
  return (
    <>
      <Trouble>{basket.short}</Trouble>
      <button type="button" class="button wide" aria-disabled={isFitting.value} onClick={(event) => void act(event)}>
        {basket.fit}
      </button>
    </>
  )
}

function Trouble({ children }: { children: string }) {
  return (
    <p class="form-trouble" role="alert">
      <Icon name="alert" />
      <span>{children}</span>
    </p>
  )
}

function Checkout({ total, isThere }: { total: Money | null; isThere: () => Promise<boolean> }) {
  const { basket } = texts.value
  const isPlacing = useSignal(false)
  const trouble = useSignal<unknown>(undefined)
  const isReady = total !== null || isUnanswered.value
  const order = async (): Promise<void> => {
    if (!isReady || isPlacing.value) return
    isPlacing.value = true
    trouble.value = undefined
    try {
      // An order that may be there already is asked for as it was sent.
      if (!isUnanswered.value && !(await isThere())) return
      const { id } = await placeOrder(total)
      go(linkTo('order', { id }))
    } catch (error) {
      trouble.value = error
      void readServerCart()
    } finally {
      isPlacing.value = false
    }
  }
  return (
    <>
      {isUnanswered.value && !isPlacing.value && <Trouble>{basket.unanswered}</Trouble>}
      {trouble.value !== undefined && !isUnanswered.value && (
        <Trouble>{hasChanged(trouble.value) ? basket.changed : describe(trouble.value)}</Trouble>
      )}
      <button
        type="button"
        class="button wide"
        disabled={!isReady}
        aria-disabled={isPlacing.value}
        onClick={() => void order()}
      >
        {isPlacing.value ? basket.ordering : isUnanswered.value ? basket.askAgain : basket.order}
      </button>
    </>
  )
}

/** It costs something else than what was shown: other things, or other prices. */
function hasChanged(error: unknown): boolean {
  return error instanceof Refused && error.problem === 'total-changed'
}
