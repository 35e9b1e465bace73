import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Child, freePort, type ProgressStep } from '@saas/devstack'
import { Api } from './api.ts'
import { makeCredentials, writeKubeconfig, type UserName } from './credentials.ts'
import { goPrograms } from './go-programs.ts'

export interface ControlPlaneOptions {
  /** Where its data, certificates and logs go. */
  readonly directory: string
  /** Where the API server listens, and what pods reach it by. */
  readonly address: string
  /** The services' addresses. */
  readonly serviceRange: string
  readonly step?: ProgressStep
}

/** etcd, API server, controllers and scheduler, as processes of this machine. */
export interface ControlPlane extends AsyncDisposable {
  /** As the administrator. */
  readonly api: Api
  /** Writes a kubeconfig for a part and answers its path. */
  kubeconfigOf(user: UserName): string
}

/** The pods' addresses. */
export const POD_RANGE = '10.244.0.0/16'

type Flags = Readonly<Record<string, string | number | boolean>>
type Probe = (signal: AbortSignal) => Promise<boolean>

const READY_TIMEOUT_MS = 120_000

/** Starts it from nothing. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { directory, address, serviceRange, step } = options
  const programs = await goPrograms('controlPlane', step)
  step?.update('starting')
  const certificates = join(directory, 'certificates')
  mkdirSync(certificates, { recursive: true, mode: 0o700 })
  const logOf = (name: string): string => join(directory, `${name}.log`)
  const { tokenFile, serviceAccountKeyFile, tokens } = makeCredentials(directory)
  await using started = new AsyncDisposableStack()
  const start = async (name: string, command: string, flags: Flags, isReady: Probe): Promise<void> => {
    const child = await Child.start({
      name,
      command,
      arguments: Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`),
      logFile: logOf(name),
      readyTimeoutMs: READY_TIMEOUT_MS,
      isReady,
    })
    started.defer(() => child.stop())
  }

  const etcd = `http://127.0.0.1:${await freePort()}`
  const peers = `http://127.0.0.1:${await freePort()}`
  await start(
    'etcd',
    programs.etcd,
    {
      'data-dir': join(directory, 'etcd'),
      'listen-client-urls': etcd,
      'advertise-client-urls': etcd,
      'listen-peer-urls': peers,
      'initial-advertise-peer-urls': peers,
      'initial-cluster': `default=${peers}`,
      // This cluster is made for one run and forgotten.
      'unsafe-no-fsync': true,
      'log-level': 'warn',
    },
    async (signal) => (await fetch(`${etcd}/health`, { signal })).ok,
  )

  const port = await freePort()
  const server = `https://${address}:${port}`
  // The API server makes its own certificate, and behind it in the file stands the authority that signed it.
  const certificateFile = join(certificates, 'apiserver.crt')
  const authority = (): string =>
    readFileSync(certificateFile, 'utf8').split(/(?<=-----END CERTIFICATE-----\n)/)[1] ?? ''
  await start(
    'kube-apiserver',
    programs['kube-apiserver'],
    {
      'etcd-servers': etcd,
      'bind-address': address,
      'advertise-address': address === '127.0.0.1' ? '192.0.2.1' : address,
      'secure-port': port,
      'cert-dir': certificates,
      'token-auth-file': tokenFile,
      'authorization-mode': 'Node,RBAC',
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': serviceAccountKeyFile,
      'service-account-signing-key-file': serviceAccountKeyFile,
      'service-cluster-ip-range': serviceRange,
      'kubelet-preferred-address-types': 'InternalIP',
    },
    async (signal) => {
      if (!existsSync(certificateFile)) return false
      await new Api(server, authority(), tokens.administrator).get('/readyz', signal)
      return true
    },
  )

  const kubeconfigOf = (user: UserName): string =>
    writeKubeconfig(join(directory, `${user.replaceAll(':', '-')}.kubeconfig`), server, authority(), tokens[user])
  await Promise.all([
    start(
      'kube-controller-manager',
      programs['kube-controller-manager'],
      {
        kubeconfig: kubeconfigOf('system:kube-controller-manager'),
        'service-account-private-key-file': serviceAccountKeyFile,
        'root-ca-file': certificateFile,
        'use-service-account-credentials': true,
        'leader-elect': false,
        'bind-address': '127.0.0.1',
        'secure-port': await freePort(),
        'cert-dir': certificates,
        'allocate-node-cidrs': true,
        'cluster-cidr': POD_RANGE,
      },
      // It works as soon as it has made what every namespace has.
      async (signal) => {
        await new Api(server, authority(), tokens.administrator).get(
          '/api/v1/namespaces/default/configmaps/kube-root-ca.crt',
          signal,
        )
        return true
      },
    ),
    start(
      'kube-scheduler',
      programs['kube-scheduler'],
      {
        kubeconfig: kubeconfigOf('system:kube-scheduler'),
        'leader-elect': false,
        'bind-address': '127.0.0.1',
        'secure-port': await freePort(),
        'cert-dir': certificates,
      },
      () => Promise.resolve(existsSync(join(certificates, 'kube-scheduler.crt'))),
    ),
  ])
  const running = started.move()
  return {
    api: new Api(server, authority(), tokens.administrator),
    kubeconfigOf,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
