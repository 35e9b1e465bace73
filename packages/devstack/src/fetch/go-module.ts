import { createHash } from 'node:crypto'
import { fileOfZip } from './zip.ts'

const FETCH_TIMEOUT_MS = 180_000

/**
 * Files of one version of a Go module, as the proxy of modules serves it (the first of GOPROXY, where there is one), each checked
 * against its SHA-256. It is a zip over HTTP (https://go.dev/ref/mod#goproxy-protocol), so there need not be a Go here. Throws when the
 * module cannot be had, or a file is another one.
 */
export async function goModuleFiles(
  module: string,
  version: string,
  sha256: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, string>>> {
  const proxies = (process.env['GOPROXY'] ?? '').split(/[,|]/)
  const proxy = proxies.find((one) => /^https?:/.test(one)) ?? 'https://proxy.golang.org'
  const escaped = module.replaceAll(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`)
  const url = `${proxy.replace(/\/$/, '')}/${escaped}/@v/${version}.zip`
  const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) })
  if (!response.ok) throw new Error(`${module}@${version} cannot be had: ${response.status}`)
  const archive = Buffer.from(await response.arrayBuffer())
  return Object.fromEntries(
    Object.entries(sha256).map(([path, wanted]) => {
      const file = fileOfZip(archive, `${module}@${version}/${path}`)
      const digest = createHash('sha256').update(file).digest('hex')
      if (digest !== wanted) throw new Error(`${path} of ${module}@${version} has the digest ${digest}, not ${wanted}`)
      return [path, file.toString()]
    }),
  )
}
