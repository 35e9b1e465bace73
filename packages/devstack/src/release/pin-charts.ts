import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { serviceNames, type ServiceName } from '@saas/contracts'
import { isMap, isSeq, parseDocument, type Document } from 'yaml'

/** What a release puts into the charts. */
export interface ChartPins {
  readonly version: string
  /** Registry and path below which the images `saas-<service>` are, as in `ghcr.io/acme`. */
  readonly images: string
  readonly digests: Readonly<Record<ServiceName, string>>
}

const DIGEST = /^sha256:[0-9a-f]{64}$/

/**
 * Writes version and images into the charts of a folder: what is installed from them is bit by bit what was tested. Comments
 * and order stay. @throws {Error} naming the service whose digest is missing or none.
 */
export function pinCharts(directory: string, { version, images, digests }: ChartPins): void {
  for (const service of serviceNames) {
    if (!DIGEST.test(digests[service] ?? '')) throw new Error(`The release has no digest for the image of ${service}.`)
  }
  const slash = images.indexOf('/')
  if (slash < 1) throw new Error(`"${images}" names no registry and path, such as ghcr.io/acme.`)
  for (const chart of readdirSync(directory)) {
    const file = join(directory, chart, 'Chart.yaml')
    if (existsSync(file)) edit(file, (document) => setVersion(document, version))
  }
  for (const service of serviceNames) {
    edit(join(directory, service, 'values.yaml'), (document) => {
      document.setIn(['image', 'registry'], images.slice(0, slash))
      document.setIn(['image', 'repository'], `${images.slice(slash + 1)}/saas-${service}`)
      document.setIn(['image', 'digest'], digests[service])
    })
  }
}

/** Of the chart and of the charts beside it that it is made of; those from elsewhere keep theirs. */
function setVersion(document: Document, version: string): void {
  // A chart of somebody else's program says that program's version.
  if (document.get('appVersion') === document.get('version')) document.set('appVersion', version)
  document.set('version', version)
  const dependencies = document.get('dependencies')
  if (!isSeq(dependencies)) return
  for (const dependency of dependencies.items) {
    if (isMap(dependency) && !dependency.has('repository')) dependency.set('version', version)
  }
}

function edit(file: string, change: (document: Document) => void): void {
  const document = parseDocument(readFileSync(file, 'utf8'))
  change(document)
  writeFileSync(file, document.toString({ lineWidth: 0, flowCollectionPadding: true }))
}
