import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Who speaks to the API server, with the groups Kubernetes gives such a part. */
const groups = {
  administrator: 'system:masters',
  'system:kube-controller-manager': '',
  'system:kube-scheduler': '',
  'system:kube-proxy': '',
  'system:node:machine': 'system:nodes',
  names: 'saas:readers',
  policies: 'saas:readers',
} as const

export type UserName = keyof typeof groups

/** What the control plane is started with: a token for each part and the key that signs those of service accounts. */
export interface Credentials {
  readonly tokenFile: string
  readonly serviceAccountKeyFile: string
  readonly tokens: Readonly<Record<UserName, string>>
}

/** Makes them anew; they live as long as the cluster. */
export function makeCredentials(directory: string): Credentials {
  const names = Object.keys(groups) as UserName[]
  const tokens = Object.fromEntries(names.map((name) => [name, randomBytes(24).toString('hex')])) as Record<
    UserName,
    string
  >
  const tokenFile = join(directory, 'tokens.csv')
  const lines = names.map((name) => `${tokens[name]},${name},${name}${groups[name] && `,"${groups[name]}"`}`)
  writeFileSync(tokenFile, `${lines.join('\n')}\n`, { mode: 0o600 })
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const serviceAccountKeyFile = join(directory, 'service-accounts.pem')
  writeFileSync(serviceAccountKeyFile, privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 })
  return { tokenFile, serviceAccountKeyFile, tokens }
}

/** A kubeconfig for one user. Its syntax is YAML, which holds JSON. */
export function writeKubeconfig(path: string, server: string, authority: string, token: string): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster: { server, 'certificate-authority-data': btoa(authority) } }],
    users: [{ name: 'user', user: { token } }],
    contexts: [{ name: 'cluster', context: { cluster: 'cluster', user: 'user' } }],
    'current-context': 'cluster',
  }
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 })
  return path
}
