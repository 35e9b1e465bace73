import { needs, serviceNames, type ServiceName } from '@saas/contracts'
import type { BrokerUser } from './nats-configuration.ts'

/** The services that speak over the bus, and what the contracts say they need of it. */
export function brokerUsers(
  passwordOf: (service: ServiceName) => string,
): (BrokerUser & { readonly password: string })[] {
  return serviceNames
    .filter((service) => needs[service].database)
    .map((service) => ({
      service,
      password: passwordOf(service),
      durables: needs[service].consumes.length === 0 ? [] : [service],
      hears: needs[service].hears.map(({ subject }) => subject),
    }))
}
