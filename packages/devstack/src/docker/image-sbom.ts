import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** As much of CycloneDX 1.6 as we read and write. https://cyclonedx.org/docs/1.6/json/ */
export interface Sbom {
  serialNumber?: string
  metadata: { timestamp?: string; readonly component: { readonly 'bom-ref': string } }
  readonly components: SbomComponent[]
  readonly dependencies: { readonly ref: string; dependsOn?: string[] }[]
}

interface SbomComponent {
  readonly type: string
  readonly name: string
  readonly version: string
  readonly purl: string
  readonly 'bom-ref': string
  readonly licenses?: readonly (
    | { readonly license: { id?: string; name?: string } }
    | { readonly expression: string }
  )[]
}

/**
 * The bill of materials of an image: what pnpm lists of the service, with Node itself and the Debian packages whose files are in
 * the image. Equal inputs give equal bytes, so it carries neither a time nor a random number.
 */
export function imageSbom(ofPackages: Sbom, nodeVersion: string, debianStatus: readonly string[]): Sbom {
  const { serialNumber: _, ...sbom } = ofPackages
  const { timestamp: __, ...metadata } = sbom.metadata
  const added = [nodeComponent(nodeVersion), ...debianStatus.map(debianComponent)]
  const root = metadata.component['bom-ref']
  const dependencies = sbom.dependencies.map((entry) =>
    entry.ref === root
      ? { ...entry, dependsOn: [...(entry.dependsOn ?? []), ...added.map((each) => each['bom-ref'])] }
      : entry,
  )
  return { ...sbom, metadata, components: [...sbom.components, ...added], dependencies }
}

function nodeComponent(version: string): SbomComponent {
  const purl = `pkg:generic/node@${version}`
  return { type: 'application', name: 'node', version, purl, 'bom-ref': purl, licenses: [{ license: { id: 'MIT' } }] }
}

/** A package by its entry in dpkg's status file. Debian's licences are prose: they are in the image, below /usr/share/doc. */
function debianComponent(status: string): SbomComponent {
  const field = (name: string): string => new RegExp(`^${name}: (.+)$`, 'm').exec(status)?.[1] ?? ''
  const [name, version] = [field('Package'), field('Version')]
  if (name === '' || version === '') throw new Error(`This is no entry of dpkg's status: ${status.slice(0, 100)}`)
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${field('Architecture')}`
  return { type: 'library', name, version, purl, 'bom-ref': purl }
}

/** In the Dockerfile: image-sbom.ts SBOM_OF_PACKAGES NODE_VERSION FOLDER_OF_STATUS_FILES. */
if (import.meta.main) {
  const [file = '', nodeVersion = '', folder = ''] = process.argv.slice(2)
  const status = readdirSync(folder)
    .toSorted()
    .map((name) => readFileSync(join(folder, name), 'utf8'))
  const sbom = imageSbom(JSON.parse(readFileSync(file, 'utf8')) as Sbom, nodeVersion.replace(/^v/, ''), status)
  process.stdout.write(`${JSON.stringify(sbom, undefined, 2)}\n`)
}
