import { join } from 'node:path'
import { cloneDirectory, helmBinary, kubectlBinary, run, type HelmMajor } from '@saas/devstack'

const umbrella = join(cloneDirectory, 'charts/umbrella')
const HELM_TIMEOUT_MS = 900_000
/** What an upgrade gets that cannot succeed, and then its rollback. */
const FAILURE_TIMEOUT_S = 45
const KUBECTL_TIMEOUT_MS = 120_000

export interface ReleaseOptions {
  readonly kubeconfig: string
  readonly helm: HelmMajor
  readonly namespace: string
  readonly name: string
  /** More arguments for every install and upgrade, such as `--values=FILE`. */
  readonly values: readonly string[]
}

/** An object as kubectl prints it. */
export interface ClusterObject {
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly labels?: Readonly<Record<string, string>>
    readonly creationTimestamp: string
    readonly deletionTimestamp?: string
  }
  readonly data?: Readonly<Record<string, string>>
  readonly status?: Readonly<Record<string, unknown>>
}

/** One release of the umbrella chart, by the real Helm and the real kubectl, with nothing of the machine's own configuration. */
export class Release {
  readonly #options: ReleaseOptions

  constructor(options: ReleaseOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  get namespace(): string {
    return this.#options.namespace
  }

  async install(...more: readonly string[]): Promise<void> {
    await this.#helm('install', this.name, umbrella, '--wait', '--timeout=12m', ...this.#options.values, ...more)
  }

  async upgrade(...more: readonly string[]): Promise<void> {
    await this.#helm('upgrade', this.name, umbrella, '--wait', '--timeout=12m', ...this.#options.values, ...more)
  }

  /** An upgrade that is to fail, and that Helm takes back by itself. Rejects with what Helm says. */
  async upgradeOrRollBack(...more: readonly string[]): Promise<void> {
    const takeBack = this.#options.helm === 3 ? '--atomic' : '--rollback-on-failure'
    const waits = ['--wait', takeBack, `--timeout=${FAILURE_TIMEOUT_S}s`]
    await this.#helm('upgrade', this.name, umbrella, ...waits, ...this.#options.values, ...more)
  }

  async rollBack(revision: number): Promise<void> {
    await this.#helm('rollback', this.name, String(revision), '--wait', '--timeout=12m')
  }

  /** Answers what the test said, where it ran. */
  async test(hasLogs: boolean): Promise<string> {
    return await this.#helm('test', this.name, '--timeout=5m', ...(hasLogs ? ['--logs'] : []))
  }

  async uninstall(): Promise<void> {
    await this.#helm('uninstall', this.name, '--wait', '--timeout=5m')
    // Helm 3 waits for what it deleted itself, and not for the pods of those.
    const selector = `app.kubernetes.io/instance=${this.name},app.kubernetes.io/name!=test`
    await this.kubectl('wait', 'pods', '--for=delete', `--selector=${selector}`, '--timeout=110s')
  }

  async awaitJobs(): Promise<void> {
    const selector = `app.kubernetes.io/instance=${this.name}`
    await this.kubectl('wait', 'jobs', '--for=condition=Complete', `--selector=${selector}`, '--timeout=110s')
  }

  /** The status Helm has written down for the newest revision. */
  async status(): Promise<{ readonly revision: number; readonly status: string }> {
    const printed = await this.#helm('status', this.name, '--output=json')
    const { version, info } = JSON.parse(printed) as { version: number; info: { status: string } }
    return { revision: version, status: info.status }
  }

  async kubectl(...arguments_: readonly string[]): Promise<string> {
    const program = await kubectlBinary()
    return await run(program, [...this.#where(), ...arguments_], {
      environment: CLEAN,
      timeoutMs: KUBECTL_TIMEOUT_MS,
    })
  }

  /** The release's objects of some kinds, as `pods,secrets`. */
  async objects(kinds: string): Promise<readonly ClusterObject[]> {
    const selector = `--selector=app.kubernetes.io/instance=${this.name}`
    const printed = await this.kubectl('get', kinds, selector, '--output=json')
    return (JSON.parse(printed) as { items: ClusterObject[] }).items
  }

  async #helm(command: string, ...arguments_: readonly string[]): Promise<string> {
    const program = await helmBinary(this.#options.helm)
    return await run(program, [command, ...this.#where(), ...arguments_], {
      environment: CLEAN,
      timeoutMs: HELM_TIMEOUT_MS,
    })
  }

  #where(): string[] {
    return [`--kubeconfig=${this.#options.kubeconfig}`, `--namespace=${this.namespace}`]
  }
}

/** Neither reads what this machine's user has set up. */
const CLEAN = { HELM_CONFIG_HOME: '/nonexistent', HELM_DATA_HOME: '/nonexistent', KUBECONFIG: '' }
