import { effect, signal, type Signal } from '@preact/signals'

/**
 * What this tab remembers under `key` across a reload, until it is undefined again; `shape` says what it is. A phone throws a tab away while its owner looks for a
 * code in the mail.
 */
export function kept<T>(key: string, shape: (value: unknown) => T): Signal<T | undefined> {
  const value = signal<T | undefined>(undefined)
  try {
    const known: unknown = JSON.parse(sessionStorage.getItem(key) ?? 'null')
    if (known !== null) value.value = shape(known)
  } catch {
    // Nothing that this version has written.
  }
  effect(() => {
    if (value.value === undefined) sessionStorage.removeItem(key)
    else sessionStorage.setItem(key, JSON.stringify(value.value))
  })
  return value
}
