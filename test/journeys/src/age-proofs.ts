/** In auth's database: every sign-in and every second factor was shown eleven minutes earlier than it was. */
export const AGE_PROOFS = `update session
set second_factor_at = second_factor_at - interval '11 minutes', authenticated_at = authenticated_at - interval '11 minutes'`
