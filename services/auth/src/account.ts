import {
  avatarSizes,
  NAME_CHARACTERS_MAX,
  ProblemError,
  problems,
  type FieldError,
  type Language,
  type MailPreferences,
  type Profile,
  type Role,
  type User,
} from '@saas/contracts'

/** An account as its row has it. */
export interface Account {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly language: Language
  readonly zone: string | null
  readonly roles: readonly Role[]
  readonly passwordHash: string
  readonly verifiedAt: Date | null
  readonly disabledAt: Date | null
  readonly securityVersion: number
  readonly avatarKey: string | null
  readonly createdAt: Date
  /** What was ever said; what is not named is wanted. */
  readonly preferences: Partial<MailPreferences>
}

export const accountColumns = `account.id, account.email, account.name, account.language, account.zone, account.roles,
  account.password_hash as "passwordHash", account.verified_at as "verifiedAt", account.disabled_at as "disabledAt",
  account.security_version as "securityVersion", account.avatar_key as "avatarKey", account.created_at as "createdAt",
  account.preferences`

/** How addresses are compared: two spellings of one address are one account. */
export function emailKeyOf(email: string): string {
  return email.toLowerCase()
}

// What shows nothing: blanks, fillers and joiners that Unicode counts as letters or symbols among them (U+3164, U+2800).
const SHOWS = /[^\p{White_Space}\p{Control}\p{Format}\p{Default_Ignorable_Code_Point}\u2800]/u
// Controls, line ends, and what turns the text around that a name stands in.
const CONTROLS = /[\p{Control}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

/**
 * A name that can stand in a mail's header and on a page. `charactersMax` counts code points, as schemas do: the normal form of a name may
 * have three times as many as what was sent.
 *
 * @throws {ProblemError} `invalid-request` when nothing of it is visible, it has control characters, or it is too long.
 */
export function usableName(given: string, charactersMax = NAME_CHARACTERS_MAX): string {
  const name = given.normalize('NFC').trim()
  if (!SHOWS.test(name) || CONTROLS.test(name)) {
    throw refusedName({ detail: 'must have a visible character and no control characters', code: 'unreadable' })
  }
  if (Array.from(name).length > charactersMax) {
    throw refusedName({
      detail: `must have at most ${charactersMax} characters`,
      code: 'too-long',
      limit: charactersMax,
    })
  }
  return name
}

function refusedName(why: Omit<FieldError, 'pointer'>): ProblemError {
  return new ProblemError(problems.invalidRequest, { errors: [{ pointer: '/name', ...why }] })
}

/** Of whoever has given none that can be used. */
export function nameOf(email: string): string {
  return email.split('@', 1)[0]?.slice(0, 100) ?? email
}

/**
 * The name of a zone as the runtime writes it. Not an offset, which it takes for a zone too: no event and no answer has a place for one.
 *
 * @throws {ProblemError} `invalid-request` when the runtime does not know the zone.
 */
export function usableZone(zone: string): string {
  const refused = (cause?: unknown) =>
    new ProblemError(problems.invalidRequest, {
      errors: [{ pointer: '/zone', detail: 'must be an IANA time zone, such as Europe/Berlin', code: 'unknown-zone' }],
      cause,
    })
  if (/^[+-]/.test(zone)) throw refused()
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone
  } catch (error) {
    throw refused(error)
  }
}

export function profileOf(account: Account): Profile {
  const { id, email, name, language, zone, roles, avatarKey, createdAt } = account
  return {
    id,
    email,
    name,
    language,
    zone,
    roles: [...roles],
    avatar: avatarKey === null ? null : avatarPaths(avatarKey),
    createdAt: createdAt.toISOString(),
  }
}

export function userOf(account: Account): User {
  return {
    id: account.id,
    email: account.email,
    name: account.name,
    roles: [...account.roles],
    verified: account.verifiedAt !== null,
    disabled: account.disabledAt !== null,
    createdAt: account.createdAt.toISOString(),
  }
}

function avatarPaths(key: string): Record<keyof typeof avatarSizes, string> {
  return { small: `/avatar/${key}-small`, medium: `/avatar/${key}-medium`, large: `/avatar/${key}-large` }
}
