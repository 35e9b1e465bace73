import { operatorRoutes } from '@saas/contracts'

/** The same routes at every service that keeps state. */
export const operatedServices = {
  auth: operatorRoutes('auth'),
  products: operatorRoutes('products'),
  orders: operatorRoutes('orders'),
  notifications: operatorRoutes('notifications'),
}
export type OperatedService = keyof typeof operatedServices
export const operatedNames = Object.keys(operatedServices) as OperatedService[]

/** Routes that differ in nothing but the service's name, as one of them. */
export function operatorOf(service: OperatedService): (typeof operatedServices)['orders'] {
  return operatedServices[service] as unknown as (typeof operatedServices)['orders']
}
