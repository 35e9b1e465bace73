import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '@saas/config'
import { helmMajors } from '@saas/devstack'
import { sharedServers } from '@saas/testing'
import { expect, test } from 'vitest'
import { startClusterStub } from './cluster-stub.ts'
import { rendered, type Rendered } from './helm.ts'
import { authVariables } from '../../services/auth/src/config.ts'
import { frontendVariables } from '../../services/frontend/src/config.ts'
import { notificationsVariables } from '../../services/notifications/src/config.ts'
import { ordersVariables } from '../../services/orders/src/config.ts'
import { productsVariables } from '../../services/products/src/config.ts'
import { ofKind, workloads } from './objects.ts'

function valuesOf(secrets: readonly Rendered[]): Record<string, Record<string, string>> {
  return Object.fromEntries(
    secrets.map(({ metadata, stringData }) => [metadata.name, stringData as Record<string, string>]),
  )
}

test.each(helmMajors)(
  'Helm %i makes secrets once and finds them again, at an upgrade or a new install',
  async (helm) => {
    const directory = mkdtempSync(join(sharedServers().directory, 'cluster-'))
    await using cluster = await startClusterStub(directory)
    const render = async () => ofKind(await rendered({ helm, seed: '', kubeconfig: cluster.kubeconfig }), 'Secret')
    cluster.objects.set('shops/configmaps/kube-root-ca.crt', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kube-root-ca.crt', namespace: 'shops' },
    })

    const [first, second] = [await render(), await render()]
    const made = valuesOf(first)
    expect(made['shop-orders']?.['nats-password']).toMatch(/^p[A-Za-z0-9]{31}$/)
    expect(Buffer.from(made['shop-auth']?.['key-encryption-key'] ?? '', 'base64url')).toHaveLength(32)
    expect(valuesOf(second)).not.toEqual(made)

    cluster.keep('shop', first)
    expect(valuesOf(await render())).toEqual(made)

    // One that is lost, or new in a version, is made; the others stay.
    cluster.objects.delete('shops/secrets/shop-objectstore')
    const { 'shop-objectstore': remade, ...others } = valuesOf(await render())
    const { 'shop-objectstore': before, ...kept } = made
    expect(others).toEqual(kept)
    expect(remade).not.toEqual(before)
  },
)

test('keys that two parts share are the same in both', async () => {
  const secrets = valuesOf(ofKind(await rendered(), 'Secret'))
  const keys = new Map(
    (secrets['shop-auth']?.['internal-token-keys'] ?? '').split(',').map((pair) => pair.split('=') as [string, string]),
  )
  for (const service of ['auth', 'products', 'orders', 'notifications'])
    expect(secrets[`shop-${service}`]?.['internal-token-key']).toBe(keys.get(service))
  expect(secrets['shop-notifications']?.['mail-secret-key']).toBe(secrets['shop-auth']?.['mail-secret-key'])
  const values = Object.values(secrets).flatMap((secret) => Object.entries(secret))
  const single = values.filter(([key]) => key !== 'mail-secret-key').map(([, value]) => value)
  expect(new Set(single).size).toBe(single.length)
})

test.each([
  ['auth', authVariables],
  ['products', productsVariables],
  ['orders', ordersVariables],
  ['notifications', notificationsVariables],
  ['frontend', frontendVariables],
] as const)('%s finds all that it reads in the environment of its pods', async (service, variables) => {
  const objects = await rendered()
  const secrets = valuesOf(ofKind(objects, 'Secret'))
  const pod = workloads(objects).find(({ object, name }) => object.kind === 'Deployment' && name === `shop-${service}`)
  const environment: Record<string, string> = {}
  for (const { name, value, valueFrom } of pod?.containers.at(-1)?.env ?? []) {
    const { name: secret = '', key = '' } = valueFrom?.secretKeyRef ?? {}
    environment[name] =
      secrets[secret]?.[key] ??
      (value ?? '').replaceAll(/\$\((\w+)\)/g, (_, variable: string) => environment[variable] ?? '')
  }
  expect(() => readConfig(variables, environment)).not.toThrow()
})
