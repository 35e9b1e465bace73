import { useSignal } from '@preact/signals'
import type { Product } from '@saas/contracts'
import { useEffect } from 'preact/hooks'
import { readProducts } from './basket.ts'
import { useLoaded } from './loaded.ts'

const nothing: ReadonlyMap<string, Product> = new Map()

/** Products that are only shown beside something, such as their pictures: whatever is shown stands without them. */
export function useProducts(ids: readonly string[]): ReadonlyMap<string, Product> {
  const distinct = [...new Set(ids)]
  const { loaded } = useLoaded(async (signal) => await readProducts(distinct, signal), [distinct.join()])
  const known = useSignal(nothing)
  useEffect(() => {
    if (loaded.value.state === 'ready') known.value = loaded.value.value
  }, [loaded.value])
  return known.value
}
