import { useSignal } from '@preact/signals'
import type { Cart, Product } from '@saas/contracts'
import { useEffect } from 'preact/hooks'
import { basketCount, basketTrouble, readLocalCart, readServerCart, serverCart, setQuantity } from '../basket.ts'
import { isUnanswered, placeOrder } from '../checkout.ts'
import { Icon } from '../components/icon.tsx'
import { Page } from '../components/page.tsx'
import { ProductPicture } from '../components/product-picture.tsx'
import { Quantity } from '../components/quantity.tsx'
import { Empty, Failure, Loading } from '../components/states.tsx'
import { describe } from '../errors.ts'
import { money } from '../formats.ts'
import { texts } from '../language.ts'
import { useLoaded } from '../loaded.ts'
import { useProducts } from '../loaded-products.ts'
import { say, sayTrouble } from '../notices.ts'
import { go, linkTo } from '../router.ts'
import { session, user } from '../session.ts'

export function BasketPage() {
  const { basket } = texts.value
  return (
    <Page title={basket.title} kind="basket">
      {session.value.state === 'unknown' ? <Loading /> : user.value === undefined ? <LocalBasket /> : <ServerBasket />}
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
  const ids = cart.items.map(({ productId }) => productId)
  // Only for pictures and stock; the basket stands without it.
  const known = useProducts(ids)
  if (cart.items.length === 0) {
    return isUnanswered.value && user.value !== undefined ? (
      <div class="summary">
        <Checkout isReady />
      </div>
    ) : (
      <Empty title={basket.empty} hint={basket.emptyHint}>
        <a class="button" href={linkTo('shop')}>
          {basket.browse}
        </a>
      </Empty>
    )
  }
  const available = cart.items.filter((item) => item.available)
  const currencies = new Set(available.map(({ unitPrice }) => unitPrice.currency))
  const hindrance = currencies.size > 1 ? basket.mixed : basket.tooLarge
  return (
    <div class="basket-room">
      <ul class="lines">
        {cart.items.map((item) => (
          <BasketLine key={item.productId} item={item} product={known.get(item.productId)} />
        ))}
      </ul>
      <section class="summary" aria-labelledby="summary">
        <h2 id="summary">{basket.summary}</h2>
        <p class="total">
          <span>{basket.total}</span>
          <strong class="price">{cart.total === null ? '—' : money(cart.total)}</strong>
        </p>
        {cart.total === null && available.length > 0 && <p class="finding">{hindrance}</p>}
        {user.value === undefined ? (
          <a class="button wide" href={linkTo('login', {}, { next: linkTo('basket') })}>
            {basket.logInToOrder}
          </a>
        ) : (
          <Checkout isReady={available.length === cart.items.length && cart.total !== null} />
        )}
        <p class="hint">{basket.noCharge}</p>
      </section>
    </div>
  )
}

function BasketLine({ item, product }: { item: Cart['items'][number]; product: Product | undefined }) {
  const { basket, product: words } = texts.value
  const { productId, name, quantity, unitPrice, priceWas, available } = item
  const isChanging = useSignal(false)
  const change = async (wanted: number): Promise<void> => {
    isChanging.value = true
    try {
      await setQuantity(productId, wanted, unitPrice)
      if (wanted === 0) say(basket.removed(name))
    } catch (error) {
      sayTrouble(error)
    } finally {
      isChanging.value = false
    }
  }
  return (
    <li class={available ? 'line' : 'line gone'}>
      <div class="line-picture">
        <ProductPicture product={{ id: productId, pictures: product?.pictures }} width="84px" />
      </div>
      <div class="line-words">
        <h2>{available ? <a href={linkTo('product', { id: productId })}>{name}</a> : name}</h2>
        {available ? (
          <p class="hint">
            {money(unitPrice)} {basket.each}
            {product !== undefined && (product.stock <= 5 || product.stock < quantity) && (
              <span class="stock few">{words.stock(product.stock, quantity)}</span>
            )}
          </p>
        ) : (
          <p class="finding">{basket.gone}</p>
        )}
        {available && priceWas !== undefined && (
          <p class="price-change">
            {basket.priceChanged(money(priceWas))}{' '}
            <button type="button" class="plain" disabled={isChanging.value} onClick={() => void change(quantity)}>
              {basket.priceSeen}
            </button>
          </p>
        )}
      </div>
      <div class="line-controls">
        {available && (
          <Quantity
            value={quantity}
            label={basket.quantityOf(name)}
            disabled={isChanging.value}
            change={(wanted) => void change(wanted)}
          />
        )}
        <button type="button" class="plain" disabled={isChanging.value} onClick={() => void change(0)}>
          {texts.value.remove}
          <span class="visually-hidden"> {name}</span>
        </button>
      </div>
      {available && (
        <p class="line-total price">{money({ amount: unitPrice.amount * quantity, currency: unitPrice.currency })}</p>
      )}
    </li>
  )
}

function Checkout({ isReady }: { isReady: boolean }) {
  const { basket } = texts.value
  const isPlacing = useSignal(false)
  const trouble = useSignal<unknown>(undefined)
  const order = async (): Promise<void> => {
    if (!isReady || isPlacing.value) return
    isPlacing.value = true
    trouble.value = undefined
    try {
      const { id } = await placeOrder()
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
      {isUnanswered.value && !isPlacing.value && (
        <p class="form-trouble" role="alert">
          <Icon name="alert" />
          <span>{basket.unanswered}</span>
        </p>
      )}
      {trouble.value !== undefined && !isUnanswered.value && (
        <p class="form-trouble" role="alert">
          <Icon name="alert" />
          <span>{describe(trouble.value)}</span>
        </p>
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
