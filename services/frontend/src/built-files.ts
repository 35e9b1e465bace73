import { etag } from '@saas/http'
import { createHash } from 'node:crypto'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

/** What the build may weigh: it is held in memory, three times over for text. */
const BUILD_BYTES_MAX = 8_000_000
/** Below this a compressed answer saves no packet. */
const COMPRESS_BYTES_MIN = 1_000

const mediaTypes: Readonly<Record<string, { readonly type: string; readonly isText: boolean }>> = {
  '.html': { type: 'text/html; charset=utf-8', isText: true },
  '.js': { type: 'text/javascript; charset=utf-8', isText: true },
  '.css': { type: 'text/css; charset=utf-8', isText: true },
  '.svg': { type: 'image/svg+xml', isText: true },
  '.txt': { type: 'text/plain; charset=utf-8', isText: true },
  '.woff2': { type: 'font/woff2', isText: false },
  '.webp': { type: 'image/webp', isText: false },
  '.png': { type: 'image/png', isText: false },
}

export type Encoding = 'br' | 'gzip' | 'identity'

/** One file of the build, ready to be sent. */
export interface BuiltFile {
  readonly mediaType: string
  /** Of the plain content; each encoding is a representation of its own (RFC 9110 section 8.8.3.3). */
  readonly etags: Readonly<Record<Encoding, string>>
  readonly bodies: Readonly<Partial<Record<Encoding, Buffer>> & { readonly identity: Buffer }>
}

/**
 * Reads the whole build into memory, by path below `directory`, and compresses text once.
 * Throws with what to do when there is no build.
 */
export async function readBuild(directory: string): Promise<ReadonlyMap<string, BuiltFile>> {
  const names = await readdir(directory, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    throw new Error(`There is no built front end in ${directory}: run "pnpm --filter @saas/frontend build".`, { cause })
  })
  const files = new Map<string, BuiltFile>()
  let bytes = 0
  for (const entry of names.filter((name) => name.isFile())) {
    const path = join(entry.parentPath, entry.name)
    const known = mediaTypes[extname(entry.name)]
    if (known === undefined) continue
    const content = await readFile(path)
    bytes += content.length
    if (bytes > BUILD_BYTES_MAX) throw new Error(`The built front end is larger than ${BUILD_BYTES_MAX} bytes.`)
    files.set(path.slice(directory.length + 1), await prepare(path, content, known))
  }
  if (!files.has('index.html')) throw new Error(`The built front end in ${directory} has no index.html.`)
  return files
}

async function prepare(
  path: string,
  content: Buffer,
  { type, isText }: { type: string; isText: boolean },
): Promise<BuiltFile> {
  const tag = createHash('sha256').update(content).digest('base64url').slice(0, 22)
  const etags = { identity: etag(tag), br: etag(`${tag}.br`), gzip: etag(`${tag}.gz`) }
  if (!isText || content.length < COMPRESS_BYTES_MIN) return { mediaType: type, etags, bodies: { identity: content } }
  const kept = await Promise.all(['.br', '.gz'].map((suffix) => readFile(path + suffix).catch(() => undefined)))
  const [br = await compressed.br(content), zipped = await compressed.gzip(content)] = kept
  return { mediaType: type, etags, bodies: { identity: content, br, gzip: zipped } }
}

const compressed = {
  br: (content: Buffer): Promise<Buffer> =>
    promisify(brotliCompress)(content, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } }),
  gzip: (content: Buffer): Promise<Buffer> => promisify(gzip)(content, { level: 9 }),
}

/** Keeps the compressed forms next to the files of a build, so that no start has to make them: half a second of CPU. */
export async function compressBuild(directory: string): Promise<void> {
  for (const [name, { bodies }] of await readBuild(directory)) {
    const path = join(directory, name)
    if (bodies.br !== undefined) await writeFile(`${path}.br`, bodies.br)
    if (bodies.gzip !== undefined) await writeFile(`${path}.gz`, bodies.gzip)
  }
}

/** The smallest representation that `Accept-Encoding` allows. */
export function encodingFor(acceptEncoding: string | undefined, file: BuiltFile): Encoding {
  const accepted = new Map(
    (acceptEncoding ?? '').split(',').map((item) => {
      const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
      const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
      return [name, weight === undefined ? 1 : Number(weight)] as const
    }),
  )
  const preferred = (['br', 'gzip'] as const).find(
    (encoding) => file.bodies[encoding] !== undefined && (accepted.get(encoding) ?? accepted.get('*') ?? 0) > 0,
  )
  return preferred ?? 'identity'
}
