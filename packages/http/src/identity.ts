/** Who is calling, as auth said in the internal token. */
export interface Identity {
  readonly userId: string
  readonly roles: readonly string[]
  readonly sessionId: string
}
