import type { Static } from 'typebox'
import { Type } from './schema.ts'

/**
 * Mails that nobody needs, so that everybody may switch them off. What concerns the safety of an account or an order
 * somebody placed is not among them. (`mailKinds` are all mails there are.)
 */
export const optionalMailKinds = [
  'announcement',
  'new-products',
  'abandoned-cart',
  'daily-sales',
  'low-stock',
  'digest',
] as const
export type OptionalMailKind = (typeof optionalMailKinds)[number]

/** Which optional mails somebody wants. What is not named is wanted. */
export const MailPreferences = Type.Object({
  announcement: Type.Boolean(),
  'new-products': Type.Boolean(),
  'abandoned-cart': Type.Boolean(),
  'daily-sales': Type.Boolean(),
  'low-stock': Type.Boolean(),
  digest: Type.Boolean(),
} satisfies Record<OptionalMailKind, unknown>)
export type MailPreferences = Static<typeof MailPreferences>

/** Whether a mail of this kind is wanted by somebody with these preferences; absent or unnamed means yes. */
export function wantsMail(preferences: Partial<MailPreferences> | undefined, kind: OptionalMailKind): boolean {
  return preferences?.[kind] !== false
}
