import { authRoutes, type ProviderAnswer } from '@saas/contracts'
import type { TestService } from '@saas/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { someone, startedAuth } from './fixtures.ts'
import { CLIENT, newKey, startIdentityProvider, type IdentityProvider } from './identity-provider.ts'

const params = { provider: 'ours' }
let auth: TestService
let provider: IdentityProvider
beforeEach(async () => {
  provider = await startIdentityProvider(['http://localhost:8080/oidc/ours'])
  const { issuer } = provider
  auth = await startedAuth({ oidcProviders: [{ ...CLIENT, id: 'ours', name: 'Ours', issuer, trustEmail: true }] })
})
afterEach(async () => {
  vi.restoreAllMocks()
  await auth[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})

/** What somebody new is answered who signs in by the provider. */
async function signedIn(): Promise<number> {
  provider.user = { sub: crypto.randomUUID(), email: someone(), email_verified: true }
  const { body: departure, headers } = await auth.call(authRoutes.departToProvider, { params })
  const cookie = headers['set-cookie']?.split(';')[0] ?? ''
  const body = (await provider.visit(departure.url)) as ProviderAnswer
  return (await auth.call(authRoutes.returnFromProvider, { params, body, headers: { cookie } })).status
}

const tokenEndpoint = async (path: string): Promise<number> =>
  (await fetch(`${provider.issuer}${path}`, { method: 'POST' })).status

describe('a provider that auth knows already', () => {
  test('signs with another key: nobody is refused when the old one has been known for a minute', async () => {
    expect(await signedIn()).toBe(200)
    provider.change({ key: newKey('second') })
    const now = Date.now
    vi.spyOn(Date, 'now').mockImplementation(() => now() + 60_000)
    expect(await signedIn()).toBe(200)
  })

  test('signs with another key at once: whoever comes five seconds after the first who was refused is let in', async () => {
    expect(await signedIn()).toBe(200)
    provider.change({ key: newKey('second') })
    expect(await signedIn()).toBe(403)
    auth.clock.advance(5_000)
    expect(await signedIn()).toBe(200)
  })

  test('has its tokens elsewhere: nobody is refused after ten minutes', async () => {
    expect(await signedIn()).toBe(200)
    provider.change({ tokenPath: '/tokens' })
    expect([await tokenEndpoint('/token'), await tokenEndpoint('/tokens')]).toEqual([404, 400])
    auth.clock.advance(600_000)
    expect(await signedIn()).toBe(200)
  })

  test('has its tokens elsewhere: before, whoever comes five seconds after the first who was refused is let in', async () => {
    expect(await signedIn()).toBe(200)
    provider.change({ tokenPath: '/tokens' })
    expect(await signedIn()).toBe(403)
    auth.clock.advance(5_000)
    expect(await signedIn()).toBe(200)
  })

  test('is not believed what it did not sign', async () => {
    expect(await signedIn()).toBe(200)
    provider.change({ publishedKey: newKey('first') })
    auth.clock.advance(600_000)
    expect(await signedIn()).toBe(403)
  })
})
