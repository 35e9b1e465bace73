export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** By what items of lists are told apart; what has none of these is replaced as a whole. */
const mergeKeys = ['name', 'containerPort', 'port', 'mountPath', 'topologyKey', 'ip'] as const

/** A strategic merge patch of Kubernetes, and so a JSON merge patch too: null removes, lists of named items are merged. */
export function strategicMerge(present: Json | undefined, patch: Json): Json {
  if (Array.isArray(patch)) return mergedList(Array.isArray(present) ? present : [], patch)
  if (!isMap(patch)) return patch
  if (patch['$patch'] === 'replace') return withoutDirectives(patch)
  const merged: Record<string, Json> = isMap(present) ? { ...present } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue
    if (value === null) delete merged[key]
    else merged[key] = strategicMerge(merged[key], value)
  }
  return merged
}

function mergedList(present: readonly Json[], patch: readonly Json[]): Json {
  const key = mergeKeys.find((name) => [...present, ...patch].every((item) => isMap(item) && name in item))
  if (key === undefined) return patch
  const merged = new Map(present.map((item) => [keyOf(item, key), item]))
  for (const item of patch) {
    if (isMap(item) && item['$patch'] === 'delete') merged.delete(keyOf(item, key))
    else merged.set(keyOf(item, key), strategicMerge(merged.get(keyOf(item, key)), item))
  }
  return [...merged.values()]
}

function keyOf(item: Json, key: string): Json | undefined {
  return isMap(item) ? item[key] : undefined
}

function withoutDirectives(map: { readonly [key: string]: Json }): Json {
  return Object.fromEntries(Object.entries(map).filter(([key]) => !key.startsWith('$')))
}

function isMap(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
