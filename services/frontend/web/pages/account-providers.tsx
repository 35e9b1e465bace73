import { authRoutes, type Factors } from '@saas/contracts'
import { call } from '../client.ts'
import { texts } from '../language.ts'
import { beginLinking } from '../linking.ts'
import { useLoaded } from '../loaded.ts'
import type { Parts } from './account-security.tsx'

/** Accounts at providers that open this one. */
export function ProviderPart({ identities, parts }: { identities: Factors['identities']; parts: Parts }) {
  const { security } = texts.value
  const { loaded } = useLoaded(async (signal) => (await call(authRoutes.listProviders, { signal })).body.items, [])
  const providers = loaded.value.state === 'ready' ? loaded.value.value : []
  if (providers.length + identities.length === 0) return null
  const nameOf = (provider: string) => providers.find(({ id }) => id === provider)?.name ?? provider
  const link = async (provider: string): Promise<void> => {
    const { url } = (await call(authRoutes.departToLink, { params: { provider } })).body
    beginLinking()
    location.assign(url)
  }
  const unlink = async (id: string): Promise<void> => {
    await call(authRoutes.unlinkIdentity, { params: { id } })
    await parts.changed(security.unlinked)
  }
  return (
    <div class="way">
      <h3>{security.providers}</h3>
      <ul class="sessions">
        {identities.map(({ id, provider, email }) => (
          <li key={id}>
            <div>
              <p class="strong">{nameOf(provider)}</p>
              <p class="hint">{email}</p>
            </div>
            <button
              type="button"
              class="button quiet small"
              aria-label={`${security.unlink}: ${nameOf(provider)}`}
              onClick={() => parts.act(async () => await unlink(id))}
            >
              {security.unlink}
            </button>
          </li>
        ))}
      </ul>
      <div class="form-actions">
        {providers.map(({ id, name }) => (
          <button key={id} type="button" class="button quiet" onClick={() => parts.act(async () => await link(id))}>
            {security.link(name)}
          </button>
        ))}
      </div>
    </div>
  )
}
