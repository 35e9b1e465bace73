import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Child, type ProgressStep } from '@saas/devstack'
import type { ControlPlane } from './control-plane.ts'
import { startContainerRuntime } from './container-runtime.ts'
import { goPrograms } from './go-programs.ts'
import { CGROUP, NAMES_ADDRESS, NODE_ADDRESS, queueNewConnections } from './namespaces.ts'

export interface RealNodeOptions {
  readonly directory: string
  readonly controlPlane: ControlPlane
  readonly images: string
  readonly networkPlugins: string
  readonly podRange: string
  readonly step?: ProgressStep
}

const NAME = 'machine'
const NODE_READY_TIMEOUT_MS = 120_000
const POLICY_QUEUE = 100

/** containerd, kubelet, kube-proxy, CoreDNS and what enforces network policies: a node whose containers run. Only inside namespaces of its own. */
export async function startRealNode(options: RealNodeOptions): Promise<AsyncDisposable> {
  const { directory, controlPlane, step } = options
  const { api } = controlPlane
  const programs = await goPrograms('node', step)
  const { coredns } = await goPrograms('names', step)
  const policies = await goPrograms('policies', step)
  mkdirSync(directory, { recursive: true })
  await using started = new AsyncDisposableStack()
  step?.update('importing the images')
  const runtime = started.use(await startContainerRuntime({ ...options, directory: join(directory, 'containerd') }))
  step?.update('starting')
  const write = (name: string, content: object | string): string => {
    const path = join(directory, name)
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
    return path
  }
  const start = async (
    name: string,
    command: string,
    arguments_: readonly string[],
    isReady: (signal: AbortSignal) => Promise<boolean>,
  ): Promise<void> => {
    const logFile = join(directory, `${name}.log`)
    const readyTimeoutMs = NODE_READY_TIMEOUT_MS
    const child = await Child.start({ name, command, arguments: arguments_, logFile, readyTimeoutMs, isReady })
    started.defer(() => child.stop())
  }

  await api.make('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'readers' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: ['names', 'policies'].map((name) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name })),
  })
  await Promise.all([
    start(
      'kubelet',
      programs.kubelet,
      [
        `--config=${write('kubelet.json', kubeletConfiguration(directory, runtime.endpoint))}`,
        `--kubeconfig=${controlPlane.kubeconfigOf('system:node:machine')}`,
        `--root-dir=${join(directory, 'kubelet')}`,
        `--cert-dir=${join(directory, 'kubelet/pki')}`,
        `--hostname-override=${NAME}`,
        `--node-ip=${NODE_ADDRESS}`,
      ],
      async (signal) => {
        const node = await api.get<{ status: { conditions?: { type: string; status: string }[] } }>(
          `/api/v1/nodes/${NAME}`,
          signal,
        )
        return node.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
      },
    ),
    start(
      'kube-proxy',
      programs['kube-proxy'],
      [`--config=${write('kube-proxy.json', proxyConfiguration(controlPlane, options.podRange))}`],
      async (signal) => (await fetch('http://127.0.0.1:10256/healthz', { signal })).ok,
    ),
    start(
      'coredns',
      coredns,
      ['-conf', write('Corefile', namesConfiguration(controlPlane.kubeconfigOf('names')))],
      async (signal) => (await fetch('http://127.0.0.1:8181/ready', { signal })).ok,
    ),
  ])
  await start(
    'kube-network-policies',
    policies['kube-network-policies'],
    [
      `--kubeconfig=${controlPlane.kubeconfigOf('policies')}`,
      `--hostname-override=${NAME}`,
      `--nfqueue-id=${POLICY_QUEUE}`,
      '--metrics-bind-address=127.0.0.1:9080',
      // Without it no connection is let through.
      '--fail-open=false',
      '--strict-mode=false',
      '--disable-nri',
    ],
    async (signal) => (await fetch('http://127.0.0.1:9080/metrics', { signal })).ok,
  )
  await queueNewConnections(POLICY_QUEUE)
  const running = started.move()
  return { [Symbol.asyncDispose]: () => running.disposeAsync() }
}

function kubeletConfiguration(directory: string, runtime: string): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: NODE_ADDRESS,
    containerRuntimeEndpoint: runtime,
    // Nobody else is in this network.
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${CGROUP}`,
    failCgroupV1: false,
    failSwapOn: false,
    clusterDNS: [NAMES_ADDRESS],
    clusterDomain: 'cluster.local',
    resolvConf: '',
    podLogsDir: join(directory, 'pods'),
    volumePluginDir: join(directory, 'volume-plugins'),
    registerNode: true,
    // The machine's disk is not this cluster's to watch.
    evictionHard: { 'nodefs.available': '0%', 'imagefs.available': '0%', 'nodefs.inodesFree': '0%' },
    imageGCHighThresholdPercent: 100,
    nodeStatusUpdateFrequency: '5s',
  }
}

function proxyConfiguration(controlPlane: ControlPlane, podRange: string): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    bindAddress: NODE_ADDRESS,
    hostnameOverride: NAME,
    clusterCIDR: podRange,
    clientConnection: { kubeconfig: controlPlane.kubeconfigOf('system:kube-proxy') },
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
    // The table of connections is the machine's.
    conntrack: { maxPerCore: 0, min: 0 },
    iptables: { minSyncPeriod: '0s' },
  }
}

function namesConfiguration(kubeconfig: string): string {
  return `.:53 {
  bind ${NAMES_ADDRESS}
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${kubeconfig} cluster
    ttl 5
  }
  cache 5
}
`
}
