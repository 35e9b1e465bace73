import type { Product } from '@saas/contracts'
import { Field, TextArea } from '../components/form.tsx'
import { typedPrice } from '../formats.ts'
import { texts } from '../language.ts'
import { attributeLines } from '../attribute-lines.ts'
import { tagLine } from '../product-entries.ts'

/** What a new product and a changed one have in common. Errors below `/tags` are shown at that field. */
export function ProductFields({ product }: { product: Product | undefined }) {
  const { manage } = texts.value
  return (
    <>
      <Field name="name" label={manage.name} required maxLength={200} defaultValue={product?.name ?? ''} />
      <Field
        name="sku"
        label={manage.sku}
        hint={manage.skuHint}
        required
        maxLength={64}
        pattern="[A-Za-z0-9][A-Za-z0-9._\-]*"
        defaultValue={product?.sku ?? ''}
      />
      <div class="fields-row">
        <Field
          name="price"
          label={manage.price}
          pointer="/price/amount"
          inputMode="decimal"
          required
          maxLength={18}
          defaultValue={product === undefined ? '' : typedPrice(product.price)}
        />
        <Field
          name="currency"
          label={manage.currency}
          pointer="/price/currency"
          required
          maxLength={3}
          pattern="[A-Za-z]{3}"
          defaultValue={product?.price.currency ?? 'EUR'}
        />
      </div>
      <TextArea
        name="description"
        label={manage.description}
        rows={5}
        maxLength={10_000}
        defaultValue={product?.description ?? ''}
      />
      <Field
        name="lowStockThreshold"
        label={manage.lowStock}
        hint={manage.lowStockHint}
        type="number"
        min={0}
        max={1_000_000_000}
        step={1}
        defaultValue={product?.lowStockThreshold?.toString() ?? ''}
      />
      <Field name="category" label={manage.category} maxLength={100} defaultValue={product?.category ?? ''} />
      <Field
        name="tags"
        label={manage.tags}
        hint={manage.tagsHint}
        defaultValue={product === undefined ? '' : tagLine(product.tags)}
      />
      <TextArea
        name="attributes"
        label={manage.attributes}
        hint={manage.attributesHint}
        rows={4}
        defaultValue={product === undefined ? '' : attributeLines(product.attributes)}
      />
    </>
  )
}
