import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rustPackage } from '@saas/devstack'
import { crdErrors } from './crd-types.ts'
import type { Rendered } from './helm.ts'
import { rustTypeErrors, rustTypes, type RustType } from './rust-types.ts'

/** Generated of the published definition of Crunchy's operator; no package of npm carries its types. */
const crunchy = {
  name: 'kcr_postgres_operator_crunchydata_com',
  version: '3.20260602.124807',
  sha256: '52015f7b38ecd3b2405f1ce82a3330e3d6b2e089cadddad4199d77ac7b699bec',
}

let types: ReadonlyMap<string, RustType> | undefined

/** Why a `PostgresCluster` cannot be checked here; `undefined` when it can. To be asked before `customResourceErrors`. */
export async function whyCrunchyIsUnknown(): Promise<string | undefined> {
  const folder = await rustPackage(crunchy.name, crunchy.version, crunchy.sha256)
  if (folder === undefined)
    return 'there is no cargo here, which brings the types of Crunchy’s operator; install it to have PostgresCluster checked'
  types ??= rustTypes(await readFile(join(folder, 'src/v1beta1/postgresclusters.rs'), 'utf8'))
  return undefined
}

/**
 * What in the object is not as its operator types it, unknown fields included; `undefined` when it is no object of an operator.
 * A `PostgresCluster` that cannot be checked is said to be so.
 */
export function customResourceErrors(object: Rendered): readonly string[] | undefined {
  switch (object.apiVersion) {
    case 'postgresql.cnpg.io/v1':
      return crdErrors(object)
    case 'postgres-operator.crunchydata.com/v1beta1': {
      const path = `${object.kind} ${object.metadata.name}`
      if (types === undefined) return [`${path} was not checked`]
      return rustTypeErrors(object['spec'], 'PostgresClusterSpec', types, `${path}.spec`)
    }
    default:
      return undefined
  }
}
