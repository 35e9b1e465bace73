import { useSignal } from '@preact/signals'
import { PICTURES_MAX, PICTURE_BYTES_MAX, productsRoutes, type Picture, type Product } from '@saas/contracts'
import { useId } from 'preact/hooks'
import { call } from '../client.ts'
import { Icon } from '../components/icon.tsx'
import { OnePicture } from '../components/product-picture.tsx'
import { describe } from '../errors.ts'
import { texts } from '../language.ts'
import { say } from '../notices.ts'
import type { Versioned } from './manage-product-edit.tsx'

/** The pictures of a product, saved one at a time and at once. The first one stands in the shop. */
export function PicturesSection({ product, change }: { product: Product; change: (changed: Versioned) => void }) {
  const { picture: words } = texts.value
  const id = useId()
  const isBusy = useSignal(false)
  const trouble = useSignal<string | undefined>(undefined)
  const { pictures } = product
  const taken = new Set(pictures.map(({ n }) => n))
  const free = Array.from({ length: PICTURES_MAX }, (_, index) => index + 1).filter((n) => !taken.has(n))

  const work = async (steps: () => Promise<void>): Promise<void> => {
    if (isBusy.value) return
    isBusy.value = true
    trouble.value = undefined
    try {
      await steps()
      say(texts.value.saved)
    } catch (error) {
      trouble.value = describe(error)
    } finally {
      isBusy.value = false
    }
  }
  const add = (files: readonly File[]): void => {
    if (files.some(({ size }) => size > PICTURE_BYTES_MAX)) {
      trouble.value = words.tooLarge
      return
    }
    void work(async () => {
      for (const [index, file] of files.slice(0, free.length).entries()) {
        const params = { id: product.id, n: free[index] ?? PICTURES_MAX }
        const { body, headers } = await call(productsRoutes.putPicture, { params, upload: file })
        change({ product: body, etag: headers.get('etag') ?? '' })
      }
    })
  }
  const remove = (n: number): void => {
    void work(async () => {
      const { body, headers } = await call(productsRoutes.deletePicture, { params: { id: product.id, n } })
      change({ product: body, etag: headers.get('etag') ?? '' })
    })
  }
  return (
    <section class="panel" aria-labelledby={`${id}-title`} aria-busy={isBusy.value}>
      <h2 id={`${id}-title`}>{words.title}</h2>
      {pictures.length > 0 && (
        <ul class="picture-places">
          {pictures.map((picture: Picture, index) => (
            <li key={picture.small}>
              <OnePicture
                id={product.id}
                picture={picture}
                width="120px"
                alt={words.numbered(index + 1, pictures.length)}
              />
              <button type="button" class="plain" aria-disabled={isBusy.value} onClick={() => remove(picture.n)}>
                {texts.value.remove}
                <span class="visually-hidden"> {words.numbered(index + 1, pictures.length)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      {free.length > 0 && (
        <div>
          <label class="button quiet" for={id}>
            {isBusy.value ? words.saving : words.add}
          </label>
          <input
            id={id}
            class="visually-hidden file"
            type="file"
            multiple
            accept="image/png,image/jpeg,image/webp,image/gif"
            aria-describedby={`${id}-hint`}
            disabled={isBusy.value}
            onChange={(event) => {
              add([...(event.currentTarget.files ?? [])])
              event.currentTarget.value = ''
            }}
          />
          <p class="hint" id={`${id}-hint`}>
            {words.hint(PICTURES_MAX)}
          </p>
        </div>
      )}
      {trouble.value !== undefined && (
        <p class="form-trouble" role="alert">
          <Icon name="alert" />
          <span>{trouble.value}</span>
        </p>
      )}
    </section>
  )
}
