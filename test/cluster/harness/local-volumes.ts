import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Api, type KubernetesObject } from './api.ts'
import { keepDoing } from './rounds.ts'

interface Claim extends KubernetesObject {
  readonly spec: {
    readonly storageClassName?: string
    readonly volumeName?: string
    readonly accessModes: readonly string[]
    readonly resources: { readonly requests: { readonly storage: string } }
  }
}

interface Volume extends KubernetesObject {
  readonly status?: { readonly phase?: string }
}

const PROVISIONER = 'saas.test/local'
const CLASS = 'local'
const ROUND_MS = 250

/** The default storage class: a folder of the node a pod was given to. A claim that is deleted takes its folder with it. */
export async function provideLocalVolumes(api: Api, directory: string): Promise<AsyncDisposable> {
  await api.make('/apis/storage.k8s.io/v1/storageclasses', {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: CLASS, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: PROVISIONER,
    reclaimPolicy: 'Delete',
    volumeBindingMode: 'WaitForFirstConsumer',
  })
  return keepDoing(ROUND_MS, async () => {
    const [claims, volumes] = await Promise.all([
      api.list<Claim>('/api/v1/persistentvolumeclaims'),
      api.list<Volume>('/api/v1/persistentvolumes'),
    ])
    for (const claim of claims) await provide(api, claim, directory)
    for (const { metadata, status } of volumes) {
      if (status?.phase !== 'Released') continue
      rmSync(join(directory, metadata.name), { recursive: true, force: true })
      await api.delete(`/api/v1/persistentvolumes/${metadata.name}`)
    }
  })
}

async function provide(api: Api, claim: Claim, directory: string): Promise<void> {
  const { metadata, spec } = claim
  // The scheduler writes down which node the first pod goes to.
  const node = metadata.annotations?.['volume.kubernetes.io/selected-node']
  if (spec.storageClassName !== CLASS || spec.volumeName !== undefined || node === undefined) return
  const name = `volume-${metadata.uid ?? ''}`
  const path = join(directory, name)
  // The kubelet gives it to the pod's group.
  mkdirSync(path, { recursive: true, mode: 0o770 })
  await api.make('/api/v1/persistentvolumes', {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name, annotations: { 'pv.kubernetes.io/provisioned-by': PROVISIONER } },
    spec: {
      capacity: { storage: spec.resources.requests.storage },
      accessModes: spec.accessModes,
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: CLASS,
      claimRef: { namespace: metadata.namespace, name: metadata.name, uid: metadata.uid },
      local: { path },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] },
          ],
        },
      },
    },
  })
}
