/**
 * Who may call a route. `anyone` needs no credentials, `user` any signed-in user, a permission a role that grants it;
 * `internal` routes exist on the service's own port only and are never reachable through the edge.
 */
export type Access = 'anyone' | 'user' | Permission | 'internal'

const permissions = ['products:write', 'orders:read', 'admin'] as const
export type Permission = (typeof permissions)[number]

export const roles = ['customer', 'manager', 'admin'] as const
export type Role = (typeof roles)[number]

/** The one table of what a role may do beyond being signed in. */
export const permissionsByRole: Readonly<Record<Role, readonly Permission[]>> = {
  customer: [],
  manager: ['products:write', 'orders:read'],
  admin: ['products:write', 'orders:read', 'admin'],
}

/**
 * The authorisation decision, made by auth at the edge and again by the service that holds the route.
 * Unknown role names grant nothing.
 */
export function isAllowed(access: Access, callerRoles: readonly string[] | undefined): boolean {
  if (access === 'anyone') return true
  if (access === 'internal' || callerRoles === undefined) return false
  if (access === 'user') return true
  return callerRoles.some((role) => isRole(role) && permissionsByRole[role].includes(access))
}

function isRole(name: string): name is Role {
  return (roles as readonly string[]).includes(name)
}

/** Response header in which auth tells the edge the name of the problem, where a 403 has a better one than `forbidden`. */
export const REFUSAL_HEADER = 'x-refusal'
