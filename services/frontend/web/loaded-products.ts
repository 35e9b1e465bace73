import { useSignal } from '@preact/signals'
import type { Product } from '@saas/contracts'
import { useEffect } from 'preact/hooks'
import { readProducts, type Found } from './basket.ts'
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

/** Products as they are now: read again whenever somebody comes back to this tab, and by `read`. Nothing is found while that fails. */
export function useCurrentProducts(ids: readonly string[]) {
  const found = useSignal<Found>(new Map())
  const read = async (signal?: AbortSignal): Promise<Found> => {
    try {
      const products = await readProducts(ids, signal)
      const current = new Map(ids.map((id) => [id, products.get(id)]))
      if (signal?.aborted !== true) found.value = current
      return current
    } catch {
      return new Map()
    }
  }
  useEffect(() => {
    const controller = new AbortController()
    const { signal } = controller
    void read(signal)
    addEventListener('focus', () => void read(signal), { signal })
    return () => controller.abort()
  }, [ids.join()])
  return { found: found.value, read }
}
