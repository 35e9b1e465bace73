import { useSignal } from '@preact/signals'
import type { Product } from '@saas/contracts'
import { texts } from '../language.ts'
import { Artwork } from './artwork.tsx'
import { OnePicture } from './product-picture.tsx'

/** The pictures of a product: one large, and the others to choose from. */
export function Gallery({ product: { id, name, pictures } }: { product: Product }) {
  const chosen = useSignal(0)
  const shown = pictures[Math.min(chosen.value, pictures.length - 1)]
  if (shown === undefined) {
    return (
      <div class="product-picture">
        <Artwork seed={id} />
      </div>
    )
  }
  const { picture: words } = texts.value
  return (
    <div class="gallery">
      <div class="product-picture">
        <OnePicture key={shown.large} id={id} picture={shown} width="(width >= 60rem) 50vw, 100vw" alt={name} eager />
      </div>
      {pictures.length > 1 && (
        <div class="gallery-choices" role="group" aria-label={words.title}>
          {pictures.map((picture, index) => (
            <button
              type="button"
              key={picture.small}
              aria-pressed={picture === shown}
              aria-label={words.numbered(index + 1, pictures.length)}
              onClick={() => (chosen.value = index)}
            >
              <OnePicture id={id} picture={picture} width="72px" />
            </button>
          ))}
        </div>
      )}
    </div>
  )
}
