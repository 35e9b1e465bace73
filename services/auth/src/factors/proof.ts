import type { PasskeyAssertion } from '@saas/contracts'

/** What can be sent to prove the second factor. */
export type FactorProof =
  | { readonly code: string }
  | { readonly recoveryCode: string }
  | { readonly passkey: PasskeyAssertion }
