import { productsRoutes } from '@saas/contracts'
import { call } from '../client.ts'
import { Field, Form, entry } from '../components/form.tsx'
import { Icon } from '../components/icon.tsx'
import { Page, SignedInOnly } from '../components/page.tsx'
import { Loading } from '../components/states.tsx'
import { texts } from '../language.ts'
import { useLoaded } from '../loaded.ts'
import { say } from '../notices.ts'
import { productOf } from '../product-entries.ts'
import { go, linkTo, place } from '../router.ts'
import { FailedPage } from './failed.tsx'
import { EditProduct, type Versioned } from './manage-product-edit.tsx'
import { ProductFields } from './manage-product-fields.tsx'

export function ManageProductPage() {
  const id = place.value.params['id'] ?? ''
  return (
    <SignedInOnly permission="products:write">
      <a class="back" href={linkTo('manageProducts')}>
        <Icon name="back" />
        {texts.value.manage.title}
      </a>
      {id === 'new' ? <NewProductForm /> : <ExistingProduct id={id} />}
    </SignedInOnly>
  )
}

/** With the ETag it was read under, which every change names. */
async function readProduct(id: string, signal?: AbortSignal): Promise<Versioned> {
  const input = { params: { id }, ...(signal === undefined ? {} : { signal }) }
  const { body, headers } = await call(productsRoutes.getProduct, input)
  return { product: body, etag: headers.get('etag') ?? '' }
}

function ExistingProduct({ id }: { id: string }) {
  const { loaded, reload } = useLoaded(async (signal) => await readProduct(id, signal), [id])
  if (loaded.value.state === 'loading') return <Loading />
  if (loaded.value.state === 'failed') return <FailedPage error={loaded.value.error} retry={reload} />
  return <EditProduct first={loaded.value.value} read={async () => await readProduct(id)} />
}

function NewProductForm() {
  const { manage } = texts.value
  const send = async (entries: FormData): Promise<void> => {
    const stock = Number(entry(entries, 'stock'))
    const { body } = await call(productsRoutes.createProduct, { body: { ...productOf(entries), stock } })
    go(linkTo('manageProduct', { id: body.id }))
    say(manage.created(body.name))
  }
  return (
    <Page title={manage.new} kind="office">
      <Form submit={manage.create} send={send} guarded="product new">
        <ProductFields product={undefined} />
        <Field
          name="stock"
          label={manage.stock}
          type="number"
          min={0}
          max={1_000_000_000}
          step={1}
          required
          defaultValue="0"
        />
      </Form>
    </Page>
  )
}
