import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cloneDirectory, helmBinary, type HelmMajor } from '@saas/devstack'
import { parseAllDocuments } from 'yaml'

const RENDER_TIMEOUT_MS = 60_000
const OUTPUT_BYTES_MAX = 16 * 1024 ** 2
const SEED = 'a-seed-for-tests-that-is-long-enough-0123456789'
/** The chart that everything is installed by. */
export const umbrella = join(cloneDirectory, 'charts/umbrella')

/** An object as the chart renders it, before anything else knows its type. */
export interface Rendered {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Record<string, string>
    readonly annotations?: Record<string, string>
  }
  readonly [field: string]: unknown
}

export interface RenderOptions {
  readonly helm?: HelmMajor
  readonly release?: string
  /** Files of the umbrella chart, such as `values-small.yaml`. */
  readonly files?: readonly string[]
  /** As JSON: `path=value`. */
  readonly set?: Readonly<Record<string, unknown>>
  readonly seed?: string
  /** Kinds the cluster knows beside Kubernetes' own, as `group/version/Kind`. */
  readonly apiVersions?: readonly string[]
}

/** The kinds that the operators bring, as the umbrella asks for them. */
export const operatorApis = {
  pgo: 'postgres-operator.crunchydata.com/v1beta1/PostgresCluster',
  cnpg: 'postgresql.cnpg.io/v1/Database',
} as const

/** Runs Helm, and gives back what it printed. Rejects with what it says when it refuses. Nothing of the machine's own Helm is read. */
export async function runHelm(major: HelmMajor, args: readonly string[], input?: string): Promise<string> {
  const program = await helmBinary(major)
  const home = mkdtempSync(join(tmpdir(), 'helm-'))
  try {
    const running = promisify(execFile)(program, args, {
      // It ends before its memory matters: not collecting it saves a third of the time.
      env: { HOME: home, PATH: process.env['PATH'] ?? '', GOGC: 'off' },
      timeout: RENDER_TIMEOUT_MS,
      maxBuffer: OUTPUT_BYTES_MAX,
    })
    running.child.stdin?.end(input)
    return (await running).stdout
  } finally {
    rmSync(home, { recursive: true })
  }
}

/** What `helm template` prints. */
export async function renderedText(options: RenderOptions = {}): Promise<string> {
  const { helm = 4, release = 'shop', files = [], set = {}, seed = SEED, apiVersions = [] } = options
  return await runHelm(helm, [
    'template',
    release,
    umbrella,
    '--namespace=shops',
    ...(seed === '' ? [] : [`--set=global.secrets.seed=${seed}`]),
    ...apiVersions.map((version) => `--api-versions=${version}`),
    ...files.map((file) => `--values=${join(umbrella, file)}`),
    ...settings(set),
  ])
}

/** Values as `--set-json` takes them. */
export function settings(set: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(set).map(([path, value]) => `--set-json=${path}=${JSON.stringify(value)}`)
}

/** The same, parsed strictly: a key that stands twice is an error. What many tests look at is rendered once a process. */
export async function rendered(options: RenderOptions = {}): Promise<readonly Rendered[]> {
  const key = JSON.stringify(options)
  const text = renders.get(key) ?? renderedText(options)
  renders.set(key, text)
  return parsed(await text)
}

const renders = new Map<string, Promise<string>>()

export function parsed(text: string): readonly Rendered[] {
  return text.split(/^---$/m).flatMap((part) => {
    const found = known.get(part) ?? parsedOnce(part)
    known.set(part, found)
    return found
  })
}

/** Most of what is rendered with other values is what it was. */
const known = new Map<string, readonly Rendered[]>()

function parsedOnce(part: string): readonly Rendered[] {
  return parseAllDocuments(part, { uniqueKeys: true, schema: 'yaml-1.1' }).flatMap((document) => {
    const [error] = document.errors
    if (error !== undefined) throw error
    const object = document.toJS() as Rendered | null
    return object === null ? [] : [object]
  })
}

/** The sentence Helm ends with when it refuses the values. */
export async function refusal(set: Readonly<Record<string, unknown>>, options: RenderOptions = {}): Promise<string> {
  return await renderedText({ ...options, set }).then(
    () => 'not refused',
    // Without what Helm says of every symbolic link.
    (error: Error & { stderr?: string }) => (error.stderr ?? error.message).replaceAll(/^level=INFO .*\n/gm, ''),
  )
}
