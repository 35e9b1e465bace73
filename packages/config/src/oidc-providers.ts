/** One OpenID provider. */
export interface OidcProvider {
  /** Stands in paths. */
  readonly id: string
  /** What people read on the button. */
  readonly name: string
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** Whether an address that the provider calls verified counts as proven here. */
  readonly trustEmail: boolean
}

const PROVIDERS_MAX = 10
const ID = /^[a-z][a-z0-9-]{0,31}$/
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])
const TEXTS = ['id', 'name', 'issuer', 'clientId', 'clientSecret'] as const
const MEMBERS = new Set<string>([...TEXTS, 'trustEmail'])

/** @throws {Error} saying what is expected. */
export function readOidcProviders(value: unknown): readonly OidcProvider[] {
  if (!Array.isArray(value) || value.length > PROVIDERS_MAX) {
    throw new Error(`must be a JSON array of at most ${PROVIDERS_MAX} providers`)
  }
  const providers = value.map(readProvider)
  if (new Set(providers.map(({ id }) => id)).size < providers.length)
    throw new Error('must give each provider its own id')
  return Object.freeze(providers)
}

function readProvider(value: unknown): OidcProvider {
  if (typeof value !== 'object' || value === null) throw new Error('must have an object for each provider')
  const given = value as Readonly<Record<string, unknown>>
  const text = (name: (typeof TEXTS)[number]): string => {
    const member = given[name]
    if (typeof member !== 'string' || member === '') throw new Error(`must give each provider a text for ${name}`)
    return member
  }
  const [id, issuer] = [text('id'), text('issuer')]
  if (!ID.test(id)) throw new Error('must give each provider an id of lower-case letters, digits and dashes')
  if (!isSafeUrl(issuer)) throw new Error('must give each provider an issuer that is an https URL')
  const { trustEmail = false } = given
  if (typeof trustEmail !== 'boolean') throw new Error('must give trustEmail as true or false')
  const unknown = Object.keys(given).find((name) => !MEMBERS.has(name))
  if (unknown !== undefined) throw new Error('must have no other members than those described')
  return { id, name: text('name'), issuer, clientId: text('clientId'), clientSecret: text('clientSecret'), trustEmail }
}

/** Plain http is for a provider on this machine. */
function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname))
}
