import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

/**
 * Keeps of an operator's CustomResourceDefinition what a check of types needs, without the descriptions (2.9 MB become 0.1 MB):
 *
 *     git show v6.0.3:config/crd/bases/postgres-operator.crunchydata.com_postgresclusters.yaml > crd.yaml
 *     node test/charts/schemas/take.ts crd.yaml https://github.com/CrunchyData/postgres-operator v6.0.3
 */
interface Definition {
  readonly spec: {
    readonly group: string
    readonly names: { readonly kind: string }
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: object } }[]
  }
}

const [file = '', repository, tag] = process.argv.slice(2)
const text = readFileSync(file, 'utf8')
const { spec } = parse(text, { maxAliasCount: -1 }) as Definition
const kept = {
  from: `${repository} ${tag}`,
  licence: 'Apache-2.0',
  sha256: createHash('sha256').update(text).digest('hex'),
  group: spec.group,
  kind: spec.names.kind,
  versions: Object.fromEntries(spec.versions.map(({ name, schema }) => [name, without(schema.openAPIV3Schema)])),
}
writeFileSync(join(import.meta.dirname, `${spec.names.kind.toLowerCase()}.json`), `${JSON.stringify(kept)}\n`)

/** A field may itself be named `description`: what stands below `properties` are names. */
function without(schema: unknown, isNames = false): unknown {
  if (Array.isArray(schema)) return schema.map((item) => without(item))
  if (typeof schema !== 'object' || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key]) => isNames || (key !== 'description' && key !== 'default'))
      .map(([key, value]) => [key, without(value, key === 'properties' && !isNames)]),
  )
}
