import { auditRoutes } from './audit.ts'
import { decisionRoutes } from './decisions.ts'
import { factorRoutes } from './factors.ts'
import { emailRoutes } from './email.ts'
import { oidcRoutes } from './oidc.ts'
import { passkeyRoutes } from './passkeys.ts'
import { passwordRoutes } from './passwords.ts'
import { profileRoutes } from './profile.ts'
import { registrationRoutes } from './registration.ts'
import { sessionRoutes } from './sessions.ts'
import { signInRoutes } from './sign-in.ts'
import { userRoutes } from './users.ts'

export { auditActions, AuditEntry, type AuditAction } from './audit.ts'
export * from './events.ts'
export * from './totp.ts'
export {
  AVATAR_BYTES_MAX,
  PASSWORD_CHARACTERS_MIN,
  PASSWORD_CHARACTERS_MAX,
  NAME_CHARACTERS_MAX,
  PASSKEY_NAME_CHARACTERS_MAX,
  CODE_LIFETIME_MINUTES,
  MAILED_CODE_DIGITS_MAX,
  avatarSizes,
  DataExport,
  Profile,
  SignedIn,
  SecondFactorDue,
  TotpProposal,
  Factors,
  LinkedIdentity,
  ProviderAnswer,
  Passkey,
  PasskeyAssertion,
  PasskeyAttestation,
  PASSKEYS_MAX,
  MFA_LIFETIME_MINUTES,
  RECOVERY_CODES,
  type SecondFactorMethod,
  Session,
  User,
} from './shapes.ts'

export const authRoutes = {
  ...registrationRoutes,
  ...signInRoutes,
  ...factorRoutes,
  ...passkeyRoutes,
  ...oidcRoutes,
  ...passwordRoutes,
  ...emailRoutes,
  ...sessionRoutes,
  ...profileRoutes,
  ...userRoutes,
  ...auditRoutes,
  ...decisionRoutes,
}
