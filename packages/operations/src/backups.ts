import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Bucket } from './bucket.ts'
import { OperationFailed } from './operation-failed.ts'

const FORMAT = 1
const SUMMARY = 'backup.json'
const NAME = /^\d{8}T\d{6}Z$/
const CUT_OFF_AFTER_MS = 24 * 3_600_000

interface Part {
  readonly size: number
  readonly sha256: string
}

/** What is written last and makes a backup one. */
export interface BackupSummary {
  readonly format: typeof FORMAT
  readonly name: string
  readonly serverVersion: string
  readonly startedAt: string
  readonly finishedAt: string
  /** Of the compressed archive, in order. */
  readonly parts: readonly Part[]
}

/**
 * The backups below a prefix of a bucket: `<prefix>/<name>/00000001` and so on, and `backup.json`. Without the latter, which is written when all
 * else is there, a backup was cut off, and nobody takes it for one.
 */
export class Backups {
  readonly #bucket: Bucket
  readonly #prefix: string

  constructor(bucket: Bucket, prefix: string) {
    this.#bucket = bucket
    this.#prefix = prefix.replace(/\/*$/, '/')
  }

  /** Stores the archive in parts. @throws {OperationFailed} when the store refuses, or the archive breaks off. */
  async store(
    archive: Readable,
    facts: Pick<BackupSummary, 'name' | 'serverVersion' | 'startedAt'>,
    options: { readonly partBytes: number; readonly now: () => Date },
  ): Promise<BackupSummary> {
    if ((await this.#bucket.keys(this.#key(facts.name, ''))).length > 0)
      throw new OperationFailed(`There is a backup ${facts.name} already.`)
    const parts: Part[] = []
    let waiting: Buffer[] = []
    let bytes = 0
    const flush = async (): Promise<void> => {
      const body = Buffer.concat(waiting)
      waiting = []
      bytes = 0
      await this.#bucket.put(this.#key(facts.name, partName(parts.length)), body)
      parts.push({ size: body.length, sha256: sha256Of(body) })
    }
    for await (const chunk of archive as AsyncIterable<Buffer>) {
      waiting.push(chunk)
      bytes += chunk.length
      if (bytes >= options.partBytes) await flush()
    }
    if (bytes > 0) await flush()
    const summary: BackupSummary = { format: FORMAT, ...facts, finishedAt: options.now().toISOString(), parts }
    await this.#bucket.put(this.#key(facts.name, SUMMARY), Buffer.from(`${JSON.stringify(summary, null, 2)}\n`))
    return summary
  }

  /** The whole ones, oldest first. */
  async list(): Promise<readonly string[]> {
    return (await this.#names()).filter(({ isWhole }) => isWhole).map(({ name }) => name)
  }

  /** @throws {OperationFailed} when there is none of that name; it says which there are. */
  async summary(name: string): Promise<BackupSummary> {
    const all = await this.list()
    const chosen = name === 'latest' ? all.at(-1) : name
    const body =
      chosen === undefined || !NAME.test(chosen) ? undefined : await this.#bucket.get(this.#key(chosen, SUMMARY))
    if (body === undefined) {
      const others = all.length === 0 ? 'none' : all.join(', ')
      throw new OperationFailed(`There is no whole backup ${name} below ${this.#prefix}; there are: ${others}.`)
    }
    const summary = JSON.parse(body.toString()) as BackupSummary
    if (summary.format !== FORMAT) throw new OperationFailed(`The backup ${chosen} has a format of another version.`)
    return summary
  }

  /** The archive's bytes, each part compared with its digest first. */
  async *read({ name, parts }: BackupSummary): AsyncGenerator<Buffer> {
    for (const [index, { size, sha256 }] of parts.entries()) {
      const body = await this.#bucket.get(this.#key(name, partName(index)))
      if (body === undefined)
        throw new OperationFailed(`The backup ${name} lacks its part ${index + 1} of ${parts.length}.`)
      if (body.length !== size || sha256Of(body) !== sha256)
        throw new OperationFailed(`Part ${index + 1} of the backup ${name} is not what was stored.`)
      yield body
    }
  }

  /**
   * Removes the oldest whole backups until `keep` are left, and what was cut off longer than a day ago. A summary goes first, so that
   * a removal that breaks off leaves no backup that only seems whole. Returns the names.
   */
  async prune(keep: number, now: Date): Promise<readonly string[]> {
    const names = await this.#names()
    const surplus = names.filter(({ isWhole }) => isWhole).slice(0, -keep)
    const cutOff = names.filter(
      ({ name, isWhole }) => !isWhole && now.getTime() - startOf(name).getTime() > CUT_OFF_AFTER_MS,
    )
    for (const { keys } of [...surplus, ...cutOff]) {
      const [summaries, others] = [
        keys.filter((key) => key.endsWith(SUMMARY)),
        keys.filter((key) => !key.endsWith(SUMMARY)),
      ]
      for (const key of [...summaries, ...others]) await this.#bucket.remove(key)
    }
    return [...surplus, ...cutOff].map(({ name }) => name)
  }

  async #names(): Promise<{ name: string; isWhole: boolean; keys: string[] }[]> {
    const byName = new Map<string, string[]>()
    for (const key of await this.#bucket.keys(this.#prefix)) {
      const [name = '', file] = key.slice(this.#prefix.length).split('/')
      if (NAME.test(name) && file !== undefined) byName.set(name, [...(byName.get(name) ?? []), key])
    }
    return [...byName]
      .map(([name, keys]) => ({ name, keys, isWhole: keys.includes(this.#key(name, SUMMARY)) }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  #key(name: string, file: string): string {
    return `${this.#prefix}${name}/${file}`
  }
}

/** A backup is named by the second in which it began, so names sort by age. */
export function backupName(startedAt: Date): string {
  return `${startedAt.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}

function startOf(name: string): Date {
  return new Date(name.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}

function partName(index: number): string {
  return String(index + 1).padStart(8, '0')
}

function sha256Of(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex')
}
