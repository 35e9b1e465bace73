import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory, goModuleFiles } from '@saas/devstack'
import { parseAllDocuments } from 'yaml'
import type { Schema } from './structural-schema.ts'

/** Where the projects publish the definitions of their kinds: in their Go modules, which the public proxy keeps for ever. */
const sources = [
  {
    module: 'github.com/cloudnative-pg/cloudnative-pg',
    // The operator that charts/platform installs.
    version: 'v1.30.0',
    files: {
      'config/crd/bases/postgresql.cnpg.io_clusters.yaml':
        'ae47f4a00f6e998faef57e480f9a3960cd48ea16a79270861fc7442601507472',
      'config/crd/bases/postgresql.cnpg.io_databases.yaml':
        '53f7dfca6d23eb70246f41f1e7db596f8782341cd4fffb6ad990107cc8a588e7',
      'config/crd/bases/postgresql.cnpg.io_poolers.yaml':
        '9e0dad05355f72dceb154a12b43ebe8a410d470133ad228bf711c1fdee221124',
      'config/crd/bases/postgresql.cnpg.io_scheduledbackups.yaml':
        '1dffb969a92ed6b09abe59d9c848ff97c6646c7824e75f8e0b8379df8473a145',
    },
  },
  {
    // With the definitions of the Gateway API, the experimental ones too.
    module: 'github.com/envoyproxy/gateway',
    version: 'v1.9.1',
    files: {
      'charts/gateway-crds-helm/templates/experimental-gatewayapi-crds.yaml':
        'f1b1e97fbc289677d015b2e5a612f6c33718b87a2fa9e89448242a06ca2eb455',
      'charts/gateway-crds-helm/templates/generated/gateway.envoyproxy.io_clienttrafficpolicies.yaml':
        '083d4ec14fa4426a7557b64bb002dbfc92da1d2570ca00e400f83f994771ff06',
      'charts/gateway-crds-helm/templates/generated/gateway.envoyproxy.io_securitypolicies.yaml':
        'a54e23542ed96d5c908962f9d1162bdb44567ea5b2e7e68f501093bc526ddeb9',
    },
  },
] as const

interface Definition {
  readonly spec: {
    readonly group: string
    readonly names: { readonly kind: string }
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[]
  }
}

let schemas: Readonly<Record<string, Schema>> | undefined

/** Fetches them on first use (22 MB, of which 1 is kept). To be awaited before `schemaOf`. */
export async function loadDefinitions(): Promise<void> {
  const key = createHash('sha256').update(JSON.stringify(sources)).digest('hex').slice(0, 16)
  const file = join(cacheDirectory, `definitions-${key}.json`)
  if (!existsSync(file)) {
    const part = `${file}.${process.pid}`
    await mkdir(cacheDirectory, { recursive: true })
    await writeFile(part, JSON.stringify(await fetched()))
    await rename(part, file)
  }
  schemas ??= JSON.parse(await readFile(file, 'utf8')) as Record<string, Schema>
}

async function fetched(): Promise<Readonly<Record<string, Schema>>> {
  const all = await Promise.all(sources.map(({ module, version, files }) => goModuleFiles(module, version, files)))
  const texts = all.flatMap((files) => Object.values(files))
  // One of the two puts them into a chart, each file in one condition.
  const plain = texts.map((text) => text.replaceAll(/^\{\{.*\}\}$/gm, ''))
  const definitions = plain.flatMap((text) =>
    parseAllDocuments(text).flatMap((document) => (document.toJS() as Definition | null) ?? []),
  )
  return Object.fromEntries(
    definitions
      .filter(({ spec }) => spec.group !== undefined)
      .flatMap(({ spec }) =>
        spec.versions.map(({ name, schema }) => [
          `${spec.group}/${name} ${spec.names.kind}`,
          JSON.parse(
            JSON.stringify(schema.openAPIV3Schema, (key, value: unknown) =>
              key === 'description' && typeof value === 'string' ? undefined : value,
            ),
          ) as Schema,
        ]),
      ),
  )
}

/** The published schema of a kind, if it is one of those. */
export function schemaOf(apiVersion: string, kind: string): Schema | undefined {
  if (schemas === undefined) throw new Error('loadDefinitions comes first')
  return schemas[`${apiVersion} ${kind}`]
}
