/** Whose roles count only in a session that has passed a second factor. */
export function needsSecondFactor(roles: readonly string[]): boolean {
  return roles.includes('admin')
}

/** The roles that a session may use. Until it has passed the second factor that it needs, it is a customer's. */
export function usableRoles(roles: readonly string[], passedSecondFactor: boolean): readonly string[] {
  return passedSecondFactor || !needsSecondFactor(roles) ? roles : ['customer']
}
