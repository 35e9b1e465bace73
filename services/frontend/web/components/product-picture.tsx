import { useSignal } from '@preact/signals'
import { pictureSizes, type Picture } from '@saas/contracts'
import { Artwork } from './artwork.tsx'

/** A product as far as its picture goes; a line of an order knows no more of it than its id. */
interface Pictured {
  readonly id: string
  readonly pictures?: readonly Picture[] | undefined
}

/**
 * The first picture of a product, or the composed one where it has none or it does not load. Decorative: the name always
 * stands beside it. `width` is how wide it is shown, as the browser's `sizes` wants it.
 */
export function ProductPicture({ product: { id, pictures }, width }: { product: Pictured; width: string }) {
  const [first] = pictures ?? []
  return first === undefined ? (
    <Artwork seed={id} />
  ) : (
    <OnePicture key={first.small} id={id} picture={first} width={width} />
  )
}

/** One picture of a product, in the size that the browser needs. */
export function OnePicture(props: { id: string; picture: Picture; width: string; alt?: string; eager?: boolean }) {
  const { id, picture, width, alt = '', eager = false } = props
  const hasFailed = useSignal(false)
  if (hasFailed.value) return <Artwork seed={id} />
  const { small, medium, large } = picture
  return (
    <img
      class="picture"
      src={medium}
      srcset={`${small} ${pictureSizes.small}w, ${medium} ${pictureSizes.medium}w, ${large} ${pictureSizes.large}w`}
      sizes={width}
      width={picture.width}
      height={picture.height}
      alt={alt}
      loading={eager ? 'eager' : 'lazy'}
      decoding="async"
      onError={() => (hasFailed.value = true)}
    />
  )
}
