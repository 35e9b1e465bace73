import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { CGROUP, CGROUPS } from './namespaces.ts'

const BYTES_PER_MIB = 1_048_576
const POD = /^pod([0-9a-f-]{36})$/

/** What each pod takes now, in MiB by its uid: as the kubelet counts, without the pages of files that nobody has used of late. */
export function memoryOfPods(): ReadonlyMap<string, number> {
  const isUnified = existsSync(join(CGROUPS, 'cgroup.controllers'))
  const root = join(CGROUPS, isUnified ? '' : 'memory', CGROUP)
  const usage = isUnified ? 'memory.current' : 'memory.usage_in_bytes'
  const inactive = isUnified ? /^inactive_file (\d+)$/m : /^total_inactive_file (\d+)$/m
  return new Map(
    podGroups(root).map(([uid, directory]) => {
      const used = Number(readFileSync(join(directory, usage), 'utf8'))
      const unused = Number(inactive.exec(readFileSync(join(directory, 'memory.stat'), 'utf8'))?.[1] ?? 0)
      return [uid, (used - unused) / BYTES_PER_MIB]
    }),
  )
}

function podGroups(directory: string): readonly (readonly [string, string])[] {
  const uid = POD.exec(basename(directory))?.[1]
  if (uid !== undefined) return [[uid, directory]]
  const inner = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return inner.flatMap(({ name }) => podGroups(join(directory, name)))
}
