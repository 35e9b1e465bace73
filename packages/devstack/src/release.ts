import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { byService } from '@saas/contracts'
import { productVersion } from './docker/images.ts'
import { cloneDirectory } from './locations.ts'
import { releaseNotes } from './release/changelog.ts'
import { pinCharts } from './release/pin-charts.ts'

const usage = `For .github/workflows/release.yaml:
  release.ts notes TAG                 prints what CHANGELOG.md says of the version, and refuses a tag that is not the product's
  release.ts charts IMAGES DIGESTS     writes the version and the images IMAGES/saas-<service> into charts/; DIGESTS is a folder
                                       with one file a service that holds the digest
`

/** Answers what is to be printed. */
function main([command, ...arguments_]: readonly string[]): string {
  const version = productVersion()
  if (command === 'notes' && arguments_.length === 1) {
    if (arguments_[0] !== `v${version}`) {
      throw new Error(`The tag is ${arguments_[0]}, but package.json says ${version}: a release is tagged v${version}.`)
    }
    return `${releaseNotes(readFileSync(join(cloneDirectory, 'CHANGELOG.md'), 'utf8'), version)}\n`
  }
  const [images, folder] = arguments_
  if (command === 'charts' && images !== undefined && folder !== undefined) {
    const digests = byService((service) => readFileSync(join(folder, service), 'utf8').trim())
    pinCharts(join(cloneDirectory, 'charts'), { version, images, digests })
    return `charts ${version} run ${images}/saas-<service>\n`
  }
  throw new Error(usage)
}

try {
  process.stdout.write(main(process.argv.slice(2)))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
