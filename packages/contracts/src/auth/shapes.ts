import type { Static } from 'typebox'
import { Type } from '../schema.ts'
import { roles } from '../access.ts'
import { MailPreferences } from '../preferences.ts'
import { Email, Id, Language, Strict, Time, Zone } from '../shapes.ts'

export const AVATAR_BYTES_MAX = 2_000_000
export const PASSWORD_CHARACTERS_MIN = 15
export const PASSWORD_CHARACTERS_MAX = 256
/** How long a mailed code is good. Links live longer; their events say how long. */
export const CODE_LIFETIME_MINUTES = 10
export const MAILED_CODE_DIGITS_MAX = 9
export const avatarSizes = { small: 64, medium: 192, large: 512 } as const

/** What can prove that somebody is who they say, beside a password and a mailed code. `identity` is an account at a provider. */
export const factors = ['totp', 'passkey', 'recovery-codes', 'identity'] as const
export const factorChanges = ['added', 'removed', 'renewed', 'used'] as const

export const RoleName = Type.Enum(roles)
// The rule about strength is a problem of its own, so the schema only bounds what is hashed.
export const Password = Type.String({ minLength: 1, maxLength: PASSWORD_CHARACTERS_MAX })
/** Of an authenticator app. */
export const Code = Type.String({ pattern: '^[0-9]{6}$', description: 'Six digits' })
/** Longer while somebody guesses at the address. */
export const MailedCode = Type.String({
  pattern: `^[0-9]{6,${MAILED_CODE_DIGITS_MAX}}$`,
  description: `Six digits, or up to ${MAILED_CODE_DIGITS_MAX} after many wrong ones`,
})
export const MailedToken = Type.String({
  minLength: 43,
  maxLength: 43,
  pattern: '^[A-Za-z0-9_-]{43}$',
  description: 'Letters, digits, `-` and `_`',
})
export const RefreshToken = Type.String({
  minLength: 43,
  maxLength: 128,
  pattern: '^[A-Za-z0-9_.-]+$',
  description: 'Letters, digits, `.`, `-` and `_`',
})
export const NAME_CHARACTERS_MAX = 100
export const PersonName = Type.String({ minLength: 1, maxLength: NAME_CHARACTERS_MAX })

/** Paths of the three sizes, or null while the user has no picture. */
const Avatar = Type.Union([
  Type.Object({ small: Type.String(), medium: Type.String(), large: Type.String() }),
  Type.Null(),
])

export const Profile = Type.Object({
  id: Id,
  email: Email,
  name: PersonName,
  language: Language,
  zone: Type.Union([Zone, Type.Null()]),
  roles: Type.Array(RoleName),
  avatar: Avatar,
  createdAt: Time,
})
export type Profile = Static<typeof Profile>

export const SignedIn = Type.Object({
  accessToken: Type.String(),
  tokenType: Type.Literal('Bearer'),
  expiresIn: Type.Integer({ description: 'Seconds' }),
  refreshToken: Type.Optional(Type.String({ description: 'Absent for browsers, which get it as a cookie' })),
  user: Profile,
  secondFactorRequired: Type.Optional(
    Type.Boolean({
      description: 'True while the roles are withheld: an administrator without a second factor can only set one up',
    }),
  ),
})
export type SignedIn = Static<typeof SignedIn>

export const MFA_LIFETIME_MINUTES = 5
export const RECOVERY_CODES = 10
/** With or without the dash and in either case, as people type it. */
export const RecoveryCode = Type.String({
  minLength: 10,
  maxLength: 20,
  pattern: '^[A-Za-z0-9 -]+$',
  description: 'Letters, digits, spaces and `-`',
})

const secondFactorMethods = ['totp', 'passkey', 'recovery-code'] as const
export type SecondFactorMethod = (typeof secondFactorMethods)[number]

/** The password or code was right, and a second factor is due. */
export const SecondFactorDue = Type.Object({
  mfaToken: MailedToken,
  methods: Type.Array(Type.Enum(secondFactorMethods)),
  expiresIn: Type.Integer({ description: 'Seconds' }),
})
export type SecondFactorDue = Static<typeof SecondFactorDue>

export const TotpProposal = Type.Object({
  secret: Type.String({ description: 'Base32, for typing' }),
  uri: Type.String({ description: 'otpauth URI, for a QR code' }),
  expiresIn: Type.Integer({ description: 'Seconds' }),
})
export type TotpProposal = Static<typeof TotpProposal>

export const RecoveryCodes = Type.Object({
  recoveryCodes: Type.Array(Type.String(), {
    description: 'Shown only this once. Empty if the earlier ones are still valid',
  }),
})
export type RecoveryCodes = Static<typeof RecoveryCodes>

export const PASSKEYS_MAX = 20
export const PASSKEY_NAME_CHARACTERS_MAX = 60
export const PasskeyName = Type.String({ minLength: 1, maxLength: PASSKEY_NAME_CHARACTERS_MAX })
export const Passkey = Type.Object({
  id: Id,
  name: PasskeyName,
  createdAt: Time,
  lastUsedAt: Type.Union([Time, Type.Null()]),
  synced: Type.Boolean({ description: 'Synced between devices by its provider' }),
})
export type Passkey = Static<typeof Passkey>

/** For `navigator.credentials`, as WebAuthn level 3 writes it in JSON. */
export const PasskeyOptions = Type.Object({ options: Type.Unknown() })

const Base64Url = (maxLength: number) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[A-Za-z0-9_-]+$', description: 'Text in base64url' })
const credential = {
  id: Base64Url(1_400),
  rawId: Base64Url(1_400),
  type: Type.Literal('public-key'),
  authenticatorAttachment: Type.Optional(Type.Union([Type.Literal('platform'), Type.Literal('cross-platform')])),
  // The one extension that is asked for.
  clientExtensionResults: Strict({ credProps: Type.Optional(Strict({ rk: Type.Optional(Type.Boolean()) })) }),
}
/** A new credential as browsers write it (WebAuthn level 3, RegistrationResponseJSON). */
export const PasskeyAttestation = Strict({
  ...credential,
  response: Strict({
    clientDataJSON: Base64Url(4_096),
    attestationObject: Base64Url(16_384),
    authenticatorData: Type.Optional(Base64Url(16_384)),
    publicKey: Type.Optional(Base64Url(4_096)),
    publicKeyAlgorithm: Type.Optional(Type.Integer()),
    transports: Type.Optional(Type.Array(Type.String({ maxLength: 20 }), { maxItems: 8 })),
  }),
})
export type PasskeyAttestation = Static<typeof PasskeyAttestation>
/** A signature of a credential as browsers write it (AuthenticationResponseJSON). */
export const PasskeyAssertion = Strict({
  ...credential,
  response: Strict({
    clientDataJSON: Base64Url(4_096),
    authenticatorData: Base64Url(4_096),
    signature: Base64Url(2_048),
    userHandle: Type.Optional(Base64Url(128)),
  }),
})
export type PasskeyAssertion = Static<typeof PasskeyAssertion>

const ProviderId = Type.String({
  pattern: '^[a-z][a-z0-9-]{0,31}$',
  description: 'At most 32 lower-case letters, digits and `-`, the first a letter',
})
export const Provider = Type.Object({ id: ProviderId, name: Type.String() })
export const ProviderParams = Strict({ provider: ProviderId })
/** What a provider adds to the address that it sends the browser back to (OpenID Connect Core 3.1.2.5, RFC 9207). */
export const ProviderAnswer = Strict({
  state: Type.String({ minLength: 1, maxLength: 128 }),
  code: Type.Optional(Type.String({ minLength: 1, maxLength: 2_048 })),
  iss: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  error: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
})
export type ProviderAnswer = Static<typeof ProviderAnswer>
export const LinkedIdentity = Type.Object({
  id: Id,
  provider: Type.String(),
  email: Type.Union([Type.String(), Type.Null()]),
  createdAt: Time,
})
export type LinkedIdentity = Static<typeof LinkedIdentity>

export const Factors = Type.Object({
  identities: Type.Array(LinkedIdentity),
  totp: Type.Union([Type.Object({ createdAt: Time }), Type.Null()]),
  passkeys: Type.Array(Passkey),
  recoveryCodesLeft: Type.Integer(),
})
export type Factors = Static<typeof Factors>

export const Session = Type.Object({
  id: Id,
  device: Type.String(),
  address: Type.String(),
  createdAt: Time,
  lastSeenAt: Time,
  current: Type.Boolean(),
})
export type Session = Static<typeof Session>

const Item = Type.Record(Type.String(), Type.Unknown())

/** All that is kept about somebody, newest first, in every service. */
export const DataExport = Type.Object({
  exportedAt: Time,
  profile: Profile,
  preferences: MailPreferences,
  sessions: Type.Array(Item, { description: 'Including those that have ended, as long as they are kept' }),
  factors: Factors,
  signIns: Type.Array(Item),
  changes: Type.Array(Item, {
    description:
      'Changes to the account (roles, password, address, second factors), and what its owner did to other accounts, without naming them',
  }),
  catalogueChanges: Type.Array(Item, {
    description:
      'What they changed in the catalogue: prices, stock, and the products they took out of it, newest first',
  }),
  orders: Type.Array(Item),
  cart: Type.Array(Item),
  mails: Type.Array(Item),
})
export type DataExport = Static<typeof DataExport>

export const User = Type.Object({
  id: Id,
  email: Email,
  name: PersonName,
  roles: Type.Array(RoleName),
  verified: Type.Boolean(),
  disabled: Type.Boolean(),
  createdAt: Time,
})
export type User = Static<typeof User>

export const Accepted = Type.Object({ status: Type.Literal('accepted') })
export const none = { content: 'none' } as const

// A browser says so and gets the refresh token as a cookie that its scripts cannot read.
export const sessionHeaders = Type.Object({
  'x-session-transport': Type.Optional(Type.Union([Type.Literal('cookie'), Type.Literal('body')])),
})
