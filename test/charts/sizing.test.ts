import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cloneDirectory } from '@saas/devstack'
import { expect, test } from 'vitest'
import { operatorApis, rendered, type Rendered } from './helm.ts'
import { ofKind } from './objects.ts'

const page = readFileSync(join(cloneDirectory, 'docs/operations/sizing.md'), 'utf8')

interface Pods {
  readonly replicas?: number
  readonly template: { readonly spec: { readonly containers: readonly { readonly resources: Resources }[] } }
  readonly volumeClaimTemplates?: readonly Claim[]
}
interface Resources {
  readonly requests: { readonly cpu: string; readonly memory: string }
  readonly limits: { readonly memory: string }
}
interface Claim {
  readonly spec: { readonly resources: { readonly requests: { readonly storage: string } } }
}

const mebibytes = (text: string): number => Number.parseFloat(text) * (text.endsWith('Gi') ? 1024 : 1)
const cores = (text: string): number => Number.parseFloat(text) / (text.endsWith('m') ? 1000 : 1)

/** What runs at its fewest, as the row of the page says it. */
function rowOf(profile: string, objects: readonly Rendered[]): string {
  const fewest = new Map(
    ofKind(objects, 'HorizontalPodAutoscaler').map((object) => {
      const { scaleTargetRef, minReplicas } = object['spec'] as {
        scaleTargetRef: { name: string }
        minReplicas: number
      }
      return [scaleTargetRef.name, minReplicas]
    }),
  )
  const sum = { pods: 0, cpu: 0, asked: 0, most: 0, storage: 0 }
  for (const object of ['Deployment', 'StatefulSet'].flatMap((kind) => ofKind(objects, kind))) {
    const { replicas = 1, template, volumeClaimTemplates = [] } = object['spec'] as Pods
    const count = fewest.get(object.metadata.name) ?? replicas
    sum.pods += count
    for (const { resources } of template.spec.containers) {
      sum.cpu += count * cores(resources.requests.cpu)
      sum.asked += count * mebibytes(resources.requests.memory)
      sum.most += count * mebibytes(resources.limits.memory)
    }
    for (const { spec } of volumeClaimTemplates) sum.storage += count * mebibytes(spec.resources.requests.storage)
  }
  for (const claim of ofKind(objects, 'PersistentVolumeClaim'))
    sum.storage += mebibytes((claim as unknown as Claim).spec.resources.requests.storage)
  const { pods, cpu, asked, most, storage } = sum
  return `| \`${profile}\` | ${pods} | ${cpu.toFixed(2)} | ${asked} MiB | ${most} MiB | ${storage / 1024} GiB |`
}

test.each(['values-small.yaml', 'values.yaml', 'values-ha.yaml', 'values-external.yaml'])(
  'the page of sizes says what %s asks of a cluster',
  async (profile) => {
    const files = profile === 'values.yaml' ? [] : [profile]
    expect(page).toContain(rowOf(profile, await rendered({ files, apiVersions: [operatorApis.cnpg] })))
  },
)
