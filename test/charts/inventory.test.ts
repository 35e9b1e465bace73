import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cloneDirectory } from '@saas/devstack'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { rendered, type Rendered } from './helm.ts'
import { ofKind, workloads } from './objects.ts'

/** What somebody who reviews a change of the charts wants to see: each object, and of pods what runs in them and what it costs. */
function inventoryOf(objects: readonly Rendered[]): string {
  const pods = new Map(workloads(objects).map((workload) => [workload.object, workload]))
  const lines = objects.map((object) => {
    const { replicas } = (object['spec'] ?? {}) as { replicas?: number }
    const containers = (pods.get(object)?.containers ?? []).map(
      ({ name, image, resources }) =>
        `\n    ${name}: ${image}, ${JSON.stringify(resources?.requests)}, at most ${JSON.stringify(resources?.limits)}`,
    )
    // The hash of a Job's name changes with every migration.
    const name = object.metadata.name.replace(/-[0-9a-f]{8}$/, '-(hash)')
    return `${object.kind} ${name}${replicas === undefined ? '' : ` × ${replicas}`}${containers.join('')}`
  })
  return `${lines.toSorted().join('\n')}\n`
}

test.each(['small', 'ha'])('the profile %s is what it was; `vitest -u` after reading what changed', async (profile) => {
  const apiVersions = ['postgresql.cnpg.io/v1/Database']
  const objects = await rendered({ files: [`values-${profile}.yaml`], apiVersions })
  await expect(inventoryOf(objects)).toMatchFileSnapshot(`snapshots/${profile}.txt`)
})

test('a registry of one’s own, and its Secret, reach every pod', async () => {
  const objects = await rendered({
    set: { 'global.imageRegistry': 'mirror.example:5000/all', 'global.imagePullSecrets': [{ name: 'mirror' }] },
  })
  const all = workloads(objects)
  expect(all.length).toBeGreaterThan(10)
  for (const { name, pod, containers } of all) {
    expect(pod.imagePullSecrets, name).toEqual([{ name: 'mirror' }])
    for (const { image } of containers) expect(image, name).toMatch(/^mirror\.example:5000\/all\/[a-z]+\/[a-z-]+[:@]/)
  }
})

test('charts say what Artifact Hub shows, and the images that they run', async () => {
  const images = new Set(workloads(await rendered()).flatMap(({ containers }) => containers.map(({ image }) => image)))
  const chart = (path: string) =>
    parse(readFileSync(join(cloneDirectory, path), 'utf8')) as {
      version: string
      kubeVersion: string
      annotations: Record<string, string>
    }
  const charts = globSync('charts/*/Chart.yaml', { cwd: cloneDirectory })
  expect(charts.length).toBeGreaterThan(10)
  const { version } = chart('charts/umbrella/Chart.yaml')
  for (const path of charts) {
    expect(chart(path), path).toMatchObject({
      version,
      kubeVersion: expect.stringMatching(/^>=1\.3/),
      annotations: { 'artifacthub.io/license': 'Apache-2.0' },
    })
  }
  const said = parse(chart('charts/umbrella/Chart.yaml').annotations['artifacthub.io/images'] ?? '[]') as {
    image: string
  }[]
  expect(said.map(({ image }) => image).toSorted()).toEqual([...images].map(String).toSorted())
})

test.each(['9lives', 'shop.eu', 'true', '1e3'])(
  'a release called %s has names that Kubernetes takes',
  async (release) => {
    const objects = await rendered({ release })
    // A Service and the labels of pods are DNS labels that begin with a letter; all else may hold dots.
    for (const { metadata } of ofKind(objects, 'Service'))
      expect(metadata.name).toMatch(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/)
    for (const { metadata } of objects) {
      expect(metadata.name).toMatch(/^[a-z0-9]([-.a-z0-9]{0,61}[a-z0-9])?$/)
      for (const value of Object.values(metadata.labels ?? {}))
        expect(value).toMatch(/^([A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$/)
    }
  },
)
