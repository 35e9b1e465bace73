import type { Product } from '@saas/contracts'
import { money } from '../formats.ts'
import { texts } from '../language.ts'
import { linkTo } from '../router.ts'
import { ProductPicture } from './product-picture.tsx'

export function ProductCard({ product }: { product: Product }) {
  const { id, name, price, stock } = product
  return (
    <article class={stock === 0 ? 'card sold-out' : 'card'}>
      <div class="card-picture">
        <ProductPicture product={product} width="(width >= 60rem) 300px, 50vw" />
      </div>
      <h3>
        <a href={linkTo('product', { id })}>
          <bdi>{name}</bdi>
        </a>
      </h3>
      <p class="card-line">
        <span class="price">{money(price)}</span>
        {stock <= 5 && (
          <span class={stock === 0 ? 'stock none' : 'stock few'}>{texts.value.product.stock(stock, 1)}</span>
        )}
      </p>
    </article>
  )
}
