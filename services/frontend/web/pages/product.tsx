import { useSignal } from '@preact/signals'
import type { Product } from '@saas/contracts'
import { basketQuantity, readProducts, setQuantity } from '../basket.ts'
import { Gallery } from '../components/gallery.tsx'
import { Icon } from '../components/icon.tsx'
import { Page } from '../components/page.tsx'
import { Quantity } from '../components/quantity.tsx'
import { Loading } from '../components/states.tsx'
import { count, money } from '../formats.ts'
import { texts } from '../language.ts'
import { useLoaded } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'
import { linkTo, place } from '../router.ts'
import { FailedPage } from './failed.tsx'

/** Read through the public list, so that visitors see it without an account. */
export function ProductPage() {
  const id = place.value.params['id'] ?? ''
  const { loaded, reload } = useLoaded(async (signal) => (await readProducts([id], signal)).get(id), [id])
  const { shop, product: words } = texts.value
  const current = loaded.value
  if (current.state === 'loading') return <Loading />
  if (current.state === 'failed') return <FailedPage error={current.error} retry={reload} />
  if (current.value === undefined) {
    return (
      <Page title={words.gone}>
        <a class="button" href={linkTo('shop')}>
          {shop.showAll}
        </a>
      </Page>
    )
  }
  return <ProductView product={current.value} />
}

function ProductView({ product }: { product: Product }) {
  const { product: words, shop, basket } = texts.value
  const { id, name, category, price, stock, description, tags, attributes, sku } = product
  return (
    <div class="product-room">
      <a class="back" href={category === null ? linkTo('shop') : linkTo('shop', {}, { category })}>
        <Icon name="back" />
        {category ?? shop.allCategories}
      </a>
      <Gallery product={product} />
      <Page title={name} kind="product">
        <p class="product-price price">{money(price)}</p>
        <p class={stock === 0 ? 'stock none' : stock <= 5 ? 'stock few' : 'stock'}>{words.stock(stock, 1)}</p>
        {description !== '' && (
          <p class="description" dir="auto">
            {description}
          </p>
        )}
        {stock > 0 && <AddToBasket product={product} />}
        <h2>{words.details}</h2>
        <dl class="facts">
          {Object.entries(attributes).map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{typeof value === 'boolean' ? (value ? texts.value.yes : texts.value.no) : value}</dd>
            </div>
          ))}
          <div>
            <dt>{words.sku}</dt>
            <dd>{sku}</dd>
          </div>
        </dl>
        {tags.length > 0 && (
          <ul class="tags" aria-label={words.tags}>
            {tags.map((tag) => (
              <li key={tag}>
                <a href={linkTo('shop', {}, { tag })}>{tag}</a>
              </li>
            ))}
          </ul>
        )}
        <p class="visually-hidden" role="status">
          {basketQuantity(id) > 0 && `${basket.title}: ${count(basketQuantity(id))}`}
        </p>
      </Page>
    </div>
  )
}

function AddToBasket({ product: { id, name, price } }: { product: Product }) {
  const { product: words, basket } = texts.value
  const wanted = useSignal(1)
  const isAdding = useSignal(false)
  const inBasket = basketQuantity(id)
  const add = async (): Promise<void> => {
    if (isAdding.value) return
    isAdding.value = true
    try {
      await setQuantity(id, inBasket + wanted.value, price)
      wanted.value = 1
      say(words.added(name))
    } catch (error) {
      sayTrouble(error)
    } finally {
      isAdding.value = false
    }
  }
  return (
    <div class="add">
      <Quantity value={wanted.value} label={words.quantity} change={(value) => (wanted.value = value)} />
      <button type="button" class="button" aria-disabled={isAdding.value} onClick={() => void add()}>
        {words.add}
      </button>
      {inBasket > 0 && (
        <a class="in-basket" href={linkTo('basket')}>
          {basket.title} ({count(inBasket)})
        </a>
      )}
    </div>
  )
}
