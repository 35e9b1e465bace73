import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig, variablesOf } from '@saas/config'
import { serviceNames } from '@saas/contracts'
import { cloneDirectory } from '@saas/devstack'
import { signInternalToken, verifyInternalToken } from '@saas/http'
import { beforeAll, describe, expect, test } from 'vitest'
import { refusal, rendered, type Rendered } from './helm.ts'
import { environmentOf, named, secretValues } from './objects.ts'

let objects: readonly Rendered[]

beforeAll(async () => {
  objects = await rendered()
})

/** Set only by whoever wants it, from a Secret: `<service>.secretEnvironment`. */
const fromSecretsOnly = new Set(['OIDC_PROVIDERS'])

describe.each(serviceNames)('%s', (service) => {
  test('finds all that it reads in the environment of its pods', () => {
    expect(() => readConfig(variablesOf[service], environmentOf(objects, `shop-${service}`))).not.toThrow()
  })

  test('knows no setting that the values cannot reach', () => {
    const schema = JSON.parse(readFileSync(join(cloneDirectory, 'charts', service, 'values.schema.json'), 'utf8')) as {
      properties: { environment: { properties: object } }
    }
    const reachable = new Set([
      ...Object.keys(environmentOf(objects, `shop-${service}`)),
      ...Object.keys(schema.properties.environment.properties),
      ...fromSecretsOnly,
    ])
    expect(Object.values(variablesOf[service]).filter(({ name }) => !reachable.has(name))).toEqual([])
  })
})

test('keys that two parts share are the same in both, and nothing else is', () => {
  const auth = readConfig(variablesOf.auth, environmentOf(objects, 'shop-auth'))
  for (const service of ['products', 'orders', 'notifications'] as const) {
    const { internalTokenKeys } = readConfig(variablesOf[service], environmentOf(objects, `shop-${service}`))
    expect(auth.internalTokenKeysByService.get(service)).toEqual(internalTokenKeys)
  }
  const { mailSecretKey } = readConfig(variablesOf.notifications, environmentOf(objects, 'shop-notifications'))
  expect(mailSecretKey).toEqual(auth.mailSecretKey)
  const values = Object.values(secretValues(objects)).flatMap((secret) =>
    Object.entries(secret).flatMap(([key, value]) => (key.endsWith('-accepted') ? [] : [value])),
  )
  expect(new Set(values).size).toBe(values.length)
})

test('a key of internal tokens is replaced in three steps, between any two of which every token is believed', async () => {
  const steps = [
    {},
    { 'internal-token-key-accepted': 2 },
    { 'internal-token-key': 2 },
    { 'internal-token-key': 2, 'internal-token-key-accepted': 2 },
  ]
  const renders = await Promise.all(
    steps.map(async (generations) => rendered({ set: { 'global.secrets.generations': generations } })),
  )
  const configs = renders.map((render) => ({
    auth: readConfig(variablesOf.auth, environmentOf(render, 'shop-auth')),
    orders: readConfig(variablesOf.orders, environmentOf(render, 'shop-orders')),
  }))
  const now = new Date()
  const claims = {
    audience: 'orders',
    userId: 'u',
    roles: ['customer'],
    sessionId: 's',
    routeId: 'orders.placeOrder',
  } as const
  for (const [step, { auth }] of configs.entries()) {
    const [key = new Uint8Array()] = auth.internalTokenKeysByService.get('orders') ?? []
    const token = signInternalToken(claims, key, now)
    // Pods of this step, of the one before and of the one after run at the same time.
    for (const other of configs.slice(Math.max(0, step - 1), step + 2)) {
      const verdict = verifyInternalToken(token, other.orders.internalTokenKeys, 'orders', now)
      expect(verdict, `step ${step}`).not.toHaveProperty('refused')
    }
  }
  const keys = configs.map(({ orders }) => orders.internalTokenKeys.map((key) => Buffer.from(key).toString('hex')))
  expect(keys[3]).not.toContain(keys[0]?.[0])
  // Pods are replaced at each step, and nothing but these keys changed.
  const checksum = (render: readonly Rendered[]) =>
    JSON.stringify(named(render, 'Deployment', 'shop-orders')['spec']).match(/checksum\/secrets":"(\w+)/)?.[1]
  expect(new Set(renders.map(checksum)).size).toBe(renders.length)
  const passwords = (render: readonly Rendered[]) => secretValues(render)['shop-orders']?.['nats-password']
  expect(passwords(renders[3] ?? [])).toBe(passwords(renders[0] ?? []))
})

test.each(['key-encryption-key', 'mail-secret-key'] as const)(
  'the %s is replaced in three steps: it is accepted, it is used, the old one is gone',
  async (name) => {
    const accepted = `${name}-accepted`
    const renders = await Promise.all(
      [{}, { [accepted]: 2 }, { [name]: 2 }, { [name]: 2, [accepted]: 2 }].map(async (generations) =>
        rendered({ set: { 'global.secrets.generations': generations } }),
      ),
    )
    const hex = (key: Uint8Array = new Uint8Array()) => Buffer.from(key).toString('hex')
    const steps = renders.map((render) => {
      const auth = readConfig(variablesOf.auth, environmentOf(render, 'shop-auth'))
      const mail = readConfig(variablesOf.notifications, environmentOf(render, 'shop-notifications'))
      expect([mail.mailSecretKey, mail.mailSecretKeyAccepted]).toEqual([auth.mailSecretKey, auth.mailSecretKeyAccepted])
      return name === 'mail-secret-key'
        ? [hex(auth.mailSecretKey), hex(auth.mailSecretKeyAccepted)]
        : [hex(auth.keyEncryptionKey), hex(auth.keyEncryptionKeyAccepted)]
    })
    const [old, young] = [steps[0]?.[0], steps[3]?.[0]]
    expect(young).not.toBe(old)
    expect(steps).toEqual([
      [old, old],
      [old, young],
      [young, old],
      [young, young],
    ])
  },
)

test('a setting that no service knows is refused', async () => {
  expect(await refusal({ 'notifications.environment.QUIET_HOUR': 'off' })).toContain("'QUIET_HOUR' not allowed")
  expect(await refusal({ 'orders.environment.QUIET_HOURS': 'off' })).toContain("'QUIET_HOURS' not allowed")
})

test('what people set reaches the pods: false, zero, empty and null too', async () => {
  const render = await rendered({
    set: {
      'notifications.environment': { QUIET_HOURS: 'off', CART_REMINDER_HOURS: null },
      'orders.environment.CONN_TIMEOUT': 7,
      'auth.secretEnvironment.BOOTSTRAP_TOKEN': null,
      'orders.overrides.deployment': { spec: { revisionHistoryLimit: 0, paused: false, minReadySeconds: 5 } },
      'orders.overrides.service.spec': { publishNotReadyAddresses: false, clusterIP: '' },
      'edge.overrides.deployment.metadata.annotations': { kept: 'yes' },
      'frontend.podLabels': { team: 'web' },
      'global.serviceImageRegistry': 'registry.example:5000',
    },
  })
  const notifications = environmentOf(render, 'shop-notifications')
  expect([notifications['QUIET_HOURS'], notifications['SHOP_ZONE'], notifications['CART_REMINDER_HOURS']]).toEqual([
    'off',
    'UTC',
    undefined,
  ])
  expect(environmentOf(render, 'shop-orders')['CONN_TIMEOUT']).toBe('7')
  expect(environmentOf(render, 'shop-auth')).not.toHaveProperty('BOOTSTRAP_TOKEN')
  expect(named(render, 'Deployment', 'shop-orders')['spec']).toMatchObject({
    revisionHistoryLimit: 0,
    paused: false,
    strategy: { type: 'RollingUpdate' },
  })
  expect(named(render, 'Service', 'shop-orders')['spec']).toMatchObject({
    publishNotReadyAddresses: false,
    clusterIP: '',
  })
  expect(named(render, 'Deployment', 'shop-edge').metadata.annotations).toEqual({ kept: 'yes' })
  const images = JSON.stringify(render).match(/"image":"[^"]+"/g) ?? []
  expect(new Set(images.filter((image) => image.includes('registry.example:5000/saas/saas-'))).size).toBe(
    serviceNames.length,
  )
})
