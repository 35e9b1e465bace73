import { freePort } from '@saas/devstack'
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { Provider } from 'oidc-provider'

/** Somebody at the provider. */
export interface ProviderUser {
  readonly sub: string
  readonly email?: string
  readonly email_verified?: boolean
  readonly name?: string
  readonly locale?: string
}

/** What may change about a provider while it runs. */
interface Ways {
  readonly clientSecret: string
  /** What it signs with. */
  readonly key: JsonWebKey
  /** What it says it signs with, when that is something else. */
  readonly publishedKey?: JsonWebKey
  /** Where tokens are had. */
  readonly tokenPath: string
}

/** A real OpenID provider on this machine, at which whoever is set is signed in at once. */
export interface IdentityProvider extends AsyncDisposable {
  readonly issuer: string
  user: ProviderUser
  /** From then on it knows nothing but the new ways. */
  change(ways: Partial<Ways>): void
  /** Follows the provider's redirects as a browser would, to what it sends the browser back with. */
  visit(url: string): Promise<Record<string, string>>
}

export const CLIENT = { clientId: 'shop', clientSecret: 'a secret of the shop and the provider' }

/** One to sign with, which cannot be told from another by its id. */
export function newKey(id: string): JsonWebKey {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { ...privateKey.export({ format: 'jwk' }), kid: id, use: 'sig', alg: 'RS256' }
}

interface Context {
  readonly oidc: {
    readonly provider: { Grant: new (of: object) => { addOIDCScope(scope: string): void; save(): Promise<string> } }
    readonly client: { readonly clientId: string }
    readonly session: { readonly accountId: string }
  }
}

export async function startIdentityProvider(redirectUris: readonly string[]): Promise<IdentityProvider> {
  const port = await freePort()
  const issuer = `http://localhost:${port}`
  const state = { user: { sub: 'nobody' } as ProviderUser }
  let ways: Ways = { clientSecret: CLIENT.clientSecret, key: newKey('first'), tokenPath: '/token' }
  const providerNow = () =>
    new Provider(issuer, {
      jwks: { keys: [ways.key] },
      routes: { token: ways.tokenPath },
      clients: [{ client_id: CLIENT.clientId, client_secret: ways.clientSecret, redirect_uris: redirectUris }],
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'locale'] },
      features: { devInteractions: { enabled: false } },
      pkce: { required: () => true },
      cookies: { keys: ['only for tests'] },
      interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
      findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => ({ ...state.user, sub: id }) }),
      loadExistingGrant: async ({ oidc }: Context) => {
        const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId })
        grant.addOIDCScope('openid email profile')
        await grant.save()
        return grant
      },
    })
  let provider = providerNow()
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/interaction/') === true) {
      void provider.interactionFinished(request, response, { login: { accountId: state.user.sub } })
    } else if (request.url === '/jwks' && ways.publishedKey !== undefined) {
      const { kty, n, e, kid, use, alg } = ways.publishedKey
      response
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ keys: [{ kty, n, e, kid, use, alg }] }))
    } else provider.callback()(request, response)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    issuer,
    get user() {
      return state.user
    },
    set user(user) {
      state.user = user
    },
    change: (changed) => {
      ways = { ...ways, ...changed }
      provider = providerNow()
    },
    visit: async (url) => await visit(url, issuer),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function visit(start: string, issuer: string): Promise<Record<string, string>> {
  const cookies = new Map<string, string>()
  let url = start
  while (url.startsWith(issuer)) {
    const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
    const response = await fetch(url, { redirect: 'manual', headers })
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      cookies.set(name, value)
    }
    const next = response.headers.get('location')
    if (next === null) throw new Error(`The provider answered ${response.status}: ${await response.text()}`)
    url = new URL(next, url).href
  }
  return Object.fromEntries(new URL(url).searchParams)
}
