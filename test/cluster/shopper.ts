import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cloneDirectory } from '@saas/devstack'
import type { Release } from './release.ts'

const NAME = 'shopper'
const PORT = 8099
const ID = 10_001

/** What became of the requests that ran beside the upgrade and the rollback. */
export interface Load {
  readonly requests: number
  readonly orders: number
  readonly failed: number
  readonly failures: readonly string[]
  readonly seconds: number
  readonly slowestMs: number
  readonly streamsEnded: number
  readonly byRequest: Readonly<Record<string, number>>
}

/** Somebody who shops from a pod of the cluster, through the edge's Service. */
export class Shopper {
  readonly #release: Release

  constructor(release: Release) {
    this.#release = release
  }

  /** The pod: nobody of the release. */
  get pod(): string {
    return NAME
  }

  /** Makes an account and an order that are looked for later. The release has to run. */
  async buy(): Promise<void> {
    await this.#enterCluster()
    await this.#tell('buy')
  }

  async startLoad(): Promise<void> {
    await this.#tell('start')
  }

  async endLoad(): Promise<Load> {
    return (await this.#tell('stop')) as Load
  }

  /** Signs in with the account and reads the order. Throws when either is not there. */
  async findPurchase(): Promise<void> {
    await this.#tell('find')
  }

  async #tell(command: string): Promise<unknown> {
    const script = `fetch('http://127.0.0.1:${PORT}/${command}').then(a=>a.text()).then(console.log)`
    const said = await this.#release.kubectl('exec', NAME, '--', '/usr/bin/node', '-e', script)
    const { result, error } = JSON.parse(said) as { result?: unknown; error?: string }
    if (error !== undefined) throw new Error(error)
    return result
  }

  async #enterCluster(): Promise<void> {
    const deployment = await this.#release.kubectl(
      'get',
      `deployment/${this.#release.name}-products`,
      '--output=jsonpath={.spec.template.spec.containers[0].image}',
    )
    const directory = mkdtempSync(join(tmpdir(), 'shopper-'))
    try {
      const file = join(directory, 'shopper.json')
      writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: this.#objects(deployment.trim()) }))
      await this.#release.kubectl('apply', `--filename=${file}`)
    } finally {
      rmSync(directory, { recursive: true })
    }
    await this.#release.kubectl('wait', '--for=condition=Ready', `pod/${NAME}`, '--timeout=90s')
  }

  #objects(image: string): object[] {
    const labels = { app: NAME }
    const inCluster = ['shopper.ts', 'load.ts'].map((name) => `test/cluster/in-cluster/${name}`)
    const scripts = ['charts/umbrella/files/journey.ts', ...inCluster]
    const key = (path: string): string => path.replaceAll('/', '.')
    const { name } = this.#release
    const part = (of: string): object => ({ 'app.kubernetes.io/name': of, 'app.kubernetes.io/instance': name })
    return [
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: NAME },
        data: Object.fromEntries(scripts.map((path) => [key(path), readFileSync(join(cloneDirectory, path), 'utf8')])),
      },
      // The release lets nobody but its own parts and its test reach these two.
      ...[['products', 3000] as const, ['mailbox', 8025] as const].map(([called, port]) => ({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: `${NAME}-to-${called}` },
        spec: {
          podSelector: { matchLabels: part(called) },
          policyTypes: ['Ingress'],
          ingress: [{ from: [{ podSelector: { matchLabels: labels } }], ports: [{ port }] }],
        },
      })),
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: NAME, labels },
        spec: {
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          restartPolicy: 'Never',
          securityContext: {
            runAsNonRoot: true,
            runAsUser: ID,
            runAsGroup: ID,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [
            {
              name: NAME,
              image,
              imagePullPolicy: 'IfNotPresent',
              args: [`/saas/${inCluster[0]}`],
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              env: [
                { name: 'EDGE_URL', value: `http://${name}-edge` },
                { name: 'MAILBOX_URL', value: `http://${name}-mailbox:8025` },
                { name: 'PRODUCTS_URL', value: `http://${name}-products:3000` },
                {
                  name: 'INTERNAL_TOKEN_KEY',
                  valueFrom: { secretKeyRef: { name: `${name}-products`, key: 'internal-token-key' } },
                },
              ],
              volumeMounts: [{ name: 'scripts', mountPath: '/saas', readOnly: true }],
              readinessProbe: { exec: { command: ['/usr/bin/node', '-e', `fetch('http://127.0.0.1:${PORT}')`] } },
            },
          ],
          volumes: [
            {
              name: 'scripts',
              configMap: { name: NAME, items: scripts.map((path) => ({ key: key(path), path })) },
            },
          ],
        },
      },
    ]
  }
}
