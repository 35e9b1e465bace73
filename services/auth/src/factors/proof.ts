import type { PasskeyAssertion } from '@saas/contracts'
import type { VerifiedPasskey } from './passkeys.ts'

/** What can be sent to prove the second factor. */
export type FactorProof =
  | { readonly code: string }
  | { readonly recoveryCode: string }
  | { readonly passkey: PasskeyAssertion }

/** The same, once a passkey's signature was verified: `undefined` for a wrong one. */
export type CheckedProof =
  | Exclude<FactorProof, { readonly passkey: PasskeyAssertion }>
  | { readonly passkey: VerifiedPasskey | undefined }
