import { useSignal } from '@preact/signals'
import { productsRoutes, type Product, type ProductChange } from '@saas/contracts'
import { useRef } from 'preact/hooks'
import { v7 as uuidv7 } from 'uuid'
import { call } from '../client.ts'
import { Field, Form, WrongEntry, entry } from '../components/form.tsx'
import { Page } from '../components/page.tsx'
import { AskingButton } from '../components/question.tsx'
import { texts } from '../language.ts'
import { say, sayTrouble } from '../notices.ts'
import { productOf } from '../product-entries.ts'
import { go, linkTo } from '../router.ts'
import { Refused } from '../send.ts'
import { HistorySection } from './manage-product-history.tsx'
import { PicturesSection } from './manage-product-pictures.tsx'
import { ProductFields } from './manage-product-fields.tsx'

export interface Versioned {
  readonly product: Product
  readonly etag: string
}

export function EditProduct({ first, read }: { first: Versioned; read: () => Promise<Versioned> }) {
  const { manage, save, saved } = texts.value
  const current = useSignal(first)
  /** Which reading of the product the form began with. */
  const round = useSignal(0)
  /** What was refused because somebody else was faster. */
  const refused = useSignal<ProductChange | undefined>(undefined)
  const { product, etag } = current.value
  const { id } = product

  const put = async (change: ProductChange, ifMatch: string): Promise<void> => {
    try {
      const { body, headers } = await call(productsRoutes.replaceProduct, {
        params: { id },
        headers: { 'if-match': ifMatch },
        body: change,
      })
      refused.value = undefined
      round.value += 1
      current.value = { product: body, etag: headers.get('etag') ?? '' }
      say(saved)
    } catch (error) {
      if (error instanceof Refused && error.problem === 'version-changed') refused.value = change
      throw error
    }
  }
  const takeTheirs = async (): Promise<void> => {
    try {
      current.value = await read()
      round.value += 1
      refused.value = undefined
    } catch (error) {
      sayTrouble(error)
    }
  }
  const keepMine = async (mine: ProductChange): Promise<void> => {
    try {
      await put(mine, (await read()).etag)
    } catch (error) {
      sayTrouble(error)
    }
  }
  const conflict = (error: unknown) => {
    const mine = refused.value
    if (!(error instanceof Refused) || error.problem !== 'version-changed' || mine === undefined) return undefined
    return (
      <>
        <p>{manage.conflict}</p>
        <div class="form-actions">
          <button type="button" class="button quiet small" onClick={() => void takeTheirs()}>
            {manage.takeTheirs}
          </button>
          <button type="button" class="button quiet small" onClick={() => void keepMine(mine)}>
            {manage.keepMine}
          </button>
        </div>
      </>
    )
  }
  const view = <a href={linkTo('product', { id })}>{manage.view}</a>
  return (
    <Page title={manage.edit(product.name)} kind="office" lead={view}>
      {/* What was saved or read anew is another form. A picture is a version too, but leaves alone what is being typed. */}
      <Form
        key={round.value}
        submit={save}
        send={async (entries) => await put(productOf(entries, product), etag)}
        failure={conflict}
        guarded={`product ${id} ${product.version}`}
      >
        <ProductFields product={product} />
      </Form>
      <PicturesSection product={product} change={(changed) => (current.value = changed)} />
      <StockSection product={product} change={(changed) => (current.value = { ...current.value, product: changed })} />
      <HistorySection product={product} />
      <DeleteSection versioned={current.value} />
    </Page>
  )
}

/** Does not touch the version, so what is being edited above can still be saved. */
function StockSection({ product, change }: { product: Product; change: (product: Product) => void }) {
  const { manage } = texts.value
  /** The same entries sent again after a lost answer are the same change. */
  const attempt = useRef({ entered: '', key: '' })
  const send = async (entries: FormData, form: HTMLFormElement): Promise<void> => {
    const body = { delta: Number(entry(entries, 'delta')), reason: entry(entries, 'reason') }
    if (body.delta === 0) throw new WrongEntry('/delta', manage.deltaZero)
    const entered = JSON.stringify(body)
    if (attempt.current.entered !== entered) attempt.current = { entered, key: uuidv7() }
    const headers = { 'idempotency-key': attempt.current.key }
    const answer = await call(productsRoutes.changeStock, { params: { id: product.id }, headers, body })
    attempt.current = { entered: '', key: '' }
    change(answer.body)
    form.reset()
    say(manage.stockChanged(answer.body.stock))
  }
  return (
    <section class="panel" aria-labelledby="stock">
      <h2 id="stock">{manage.stockTitle}</h2>
      <p>{manage.stockNow(product.stock)}</p>
      <Form submit={manage.change} send={send}>
        <div class="fields-row">
          <Field name="delta" label={manage.delta} hint={manage.deltaHint} type="number" step={1} required />
          <Field name="reason" label={manage.reason} required maxLength={200} />
        </div>
      </Form>
    </section>
  )
}

function DeleteSection({ versioned: { product, etag } }: { versioned: Versioned }) {
  const { manage, delete: label } = texts.value
  const remove = async (): Promise<void> => {
    try {
      await call(productsRoutes.deleteProduct, { params: { id: product.id }, headers: { 'if-match': etag } })
      go(linkTo('manageProducts'))
      say(manage.deleted(product.name))
    } catch (error) {
      sayTrouble(error)
    }
  }
  return (
    <section class="panel" aria-labelledby="delete">
      <h2 id="delete">{manage.deleteTitle}</h2>
      <p>{manage.deleteHint}</p>
      <AskingButton
        label={label}
        question={manage.deleteQuestion(product.name)}
        confirm={label}
        act={() => void remove()}
      />
    </section>
  )
}
