import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Child, findProgram, run } from '@saas/devstack'
import { PAUSE_IMAGE } from './images.ts'

const IMPORT_TIMEOUT_MS = 600_000
const PROBE_TIMEOUT_MS = 2_000

export interface ContainerRuntimeOptions {
  readonly directory: string
  /** An archive of all images, as `docker save` writes it. */
  readonly images: string
  /** A folder with the programs `bridge`, `host-local` and `loopback`. */
  readonly networkPlugins: string
  /** The addresses of this node's pods. */
  readonly podRange: string
}

/** containerd, which has every image before anybody asks for one. */
export interface ContainerRuntime extends AsyncDisposable {
  readonly endpoint: string
}

export async function startContainerRuntime(options: ContainerRuntimeOptions): Promise<ContainerRuntime> {
  const { directory, images } = options
  mkdirSync(directory, { recursive: true })
  const socket = join(directory, 'containerd.sock')
  const configurationFile = join(directory, 'containerd.toml')
  writeFileSync(configurationFile, configuration(options, socket))
  writeNetwork(options)
  const child = await Child.start({
    name: 'containerd',
    command: findProgram('containerd') ?? 'containerd',
    arguments: ['--config', configurationFile],
    logFile: join(directory, 'containerd.log'),
    isReady: async () => {
      await run('ctr', ['--address', socket, 'version'], { timeoutMs: PROBE_TIMEOUT_MS })
      return true
    },
  })
  const imported = join(rootOf(images), 'imported')
  try {
    if (!existsSync(imported)) {
      await run('ctr', ['--address', socket, '--namespace=k8s.io', 'images', 'import', images], {
        timeoutMs: IMPORT_TIMEOUT_MS,
      })
      writeFileSync(imported, '')
    }
  } catch (error) {
    await child.stop()
    throw error
  }
  return { endpoint: `unix://${socket}`, [Symbol.asyncDispose]: () => child.stop() }
}

/**
 * Unpacked images stay for the next run, beside their archive: that takes a minute. What a run that was cut off left in there the
 * next kubelet takes away.
 */
function rootOf(images: string): string {
  return images.replace(/\.tar$/, '')
}

function configuration({ directory, images, networkPlugins }: ContainerRuntimeOptions, socket: string): string {
  const runc = findProgram('runc') ?? 'runc'
  return `
version = 2
root = "${rootOf(images)}"
state = "${directory}/state"
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  # Where nobody may be spared when memory runs out, a sandbox is not either.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${networkPlugins}"
    conf_dir = "${directory}/network"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "${runc}"
`
}

/** One bridge for all pods of the node. */
function writeNetwork({ directory, podRange }: ContainerRuntimeOptions): void {
  const network = {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: 'pods',
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: podRange }]],
          routes: [{ dst: '0.0.0.0/0' }],
          dataDir: join(directory, 'addresses'),
        },
      },
    ],
  }
  mkdirSync(join(directory, 'network'), { recursive: true })
  writeFileSync(join(directory, 'network/pods.conflist'), JSON.stringify(network))
}
