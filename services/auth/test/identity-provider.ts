import { freePort } from '@saas/devstack'
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

/** A real OpenID provider on this machine, at which whoever is set is signed in at once. */
export interface IdentityProvider extends AsyncDisposable {
  readonly issuer: string
  user: ProviderUser
  /** Forgets the client's secret for another one. */
  replaceSecret(clientSecret: string): void
  /** Follows the provider's redirects as a browser would, to what it sends the browser back with. */
  visit(url: string): Promise<Record<string, string>>
}

export const CLIENT = { clientId: 'shop', clientSecret: 'a secret of the shop and the provider' }

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
  const providerWith = (clientSecret: string) =>
    new Provider(issuer, {
      clients: [{ client_id: CLIENT.clientId, client_secret: clientSecret, redirect_uris: redirectUris }],
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
  let provider = providerWith(CLIENT.clientSecret)
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/interaction/') !== true) provider.callback()(request, response)
    else void provider.interactionFinished(request, response, { login: { accountId: state.user.sub } })
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
    replaceSecret: (clientSecret) => {
      provider = providerWith(clientSecret)
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
