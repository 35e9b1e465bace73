import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDirectory, cloneDirectory, runStep, unpackDebianPackages, type Progress } from '@saas/devstack'
import { POD_RANGE, startControlPlane } from './control-plane.ts'
import { goPrograms } from './go-programs.ts'
import { saveImages } from './images.ts'
import { provideLocalVolumes } from './local-volumes.ts'
import { NODE_ADDRESS, prepareNetwork } from './namespaces.ts'
import { startRealNode } from './real-node.ts'
import { simulateNodes } from './simulated-nodes.ts'

/** A cluster of one run. */
export interface Cluster extends AsyncDisposable {
  /** The administrator's. */
  readonly kubeconfig: string
}

const SERVICE_RANGE = '10.96.0.0/16'
/** One node has the first of the pods' ranges. */
const NODE_POD_RANGE = POD_RANGE.replace('/16', '/24')

/** A real control plane, on loopback, over nodes that only say they run what they are given. */
export async function startSimulatedCluster(directory: string, progress: Progress): Promise<Cluster> {
  await using started = new AsyncDisposableStack()
  const controlPlane = started.use(
    await runStep(progress, 'control plane', (step) =>
      startControlPlane({ directory, address: '127.0.0.1', serviceRange: SERVICE_RANGE, step }),
    ),
  )
  started.use(await provideLocalVolumes(controlPlane.api, join(directory, 'volumes')))
  started.use(await simulateNodes(controlPlane.api))
  return clusterOf(controlPlane.kubeconfigOf('administrator'), started.move())
}

/** What a real cluster is made of, in this clone's cache: the inner machine reaches no network. */
export interface Parts {
  readonly images: string
  readonly networkPlugins: string
}

export async function gatherParts(progress: Progress): Promise<Parts> {
  await runStep(progress, 'programs', async (step) => {
    await goPrograms('controlPlane', step)
    await goPrograms('node', step)
    await goPrograms('names', step)
    await goPrograms('policies', step)
  })
  const images = await runStep(progress, 'images', (step) => saveImages(join(cloneDirectory, 'charts/umbrella'), step))
  const plugins = join(cacheDirectory, 'cluster/network-plugins')
  if (!existsSync(plugins)) {
    await runStep(progress, 'network plugins', () =>
      unpackDebianPackages(['containernetworking-plugins'], 'own', plugins),
    )
  }
  return { images, networkPlugins: join(plugins, 'usr/lib/cni') }
}

/** A control plane and one node whose containers run. Only inside namespaces of its own. */
export async function startRealCluster(directory: string, parts: Parts, progress: Progress): Promise<Cluster> {
  await prepareNetwork()
  await using started = new AsyncDisposableStack()
  const home = (name: string): string => {
    const path = join(directory, name)
    mkdirSync(path, { recursive: true })
    return path
  }
  const controlPlane = started.use(
    await runStep(progress, 'control plane', (step) =>
      startControlPlane({
        directory: home('control-plane'),
        address: NODE_ADDRESS,
        serviceRange: SERVICE_RANGE,
        step,
      }),
    ),
  )
  started.use(await provideLocalVolumes(controlPlane.api, home('volumes')))
  started.use(
    await runStep(progress, 'node', (step) =>
      startRealNode({ ...parts, directory: home('node'), controlPlane, podRange: NODE_POD_RANGE, step }),
    ),
  )
  return clusterOf(controlPlane.kubeconfigOf('administrator'), started.move())
}

function clusterOf(kubeconfig: string, running: AsyncDisposableStack): Cluster {
  return { kubeconfig, [Symbol.asyncDispose]: () => running.disposeAsync() }
}
