import { authEvents, authRoutes } from './auth/index.ts'
import type { Event } from './event.ts'
import { exportEvents } from './exports.ts'
import { frontendRoutes, pageRoutes } from './frontend.ts'
import { notificationsRoutes } from './notifications.ts'
import { operatorRoutes } from './operator.ts'
import { ordersEvents, ordersRoutes } from './orders/index.ts'
import { productsEvents, productsRoutes } from './products/index.ts'
import { scheduleEvents } from './schedules.ts'
import { serviceNames, type Route, type ServiceName } from './route.ts'

/** Every route there is. One that is not here cannot be reached. */
export const allRoutes: readonly Route[] = [
  ...Object.values(authRoutes),
  ...Object.values(operatorRoutes('auth')),
  ...Object.values(productsRoutes),
  ...Object.values(operatorRoutes('products')),
  ...Object.values(ordersRoutes),
  ...Object.values(operatorRoutes('orders')),
  ...Object.values(notificationsRoutes),
  ...Object.values(operatorRoutes('notifications')),
  ...Object.values(frontendRoutes),
  ...pageRoutes,
]

/** Every event there is, by subject. */
export const allEvents: ReadonlyMap<string, Event> = new Map(
  [authEvents, productsEvents, ordersEvents, scheduleEvents, exportEvents]
    .flatMap((events): Event[] => Object.values(events))
    .map((declared) => [declared.subject, declared]),
)

/** What a service needs from the world around it; database roles, broker users and network policies follow from it. */
export interface Needs {
  readonly database: boolean
  readonly objectStore: boolean
  readonly smtp: boolean
  /** Events that its durable consumer applies, each exactly once. The durable bears the service's name. */
  readonly consumes: readonly Event[]
  /** Events that every replica hears at once, best effort, to wake up waiters and caches. */
  readonly hears: readonly Event[]
}

const { orderPlaced, orderConfirmed, orderRejected, orderCancelled } = ordersEvents
const { productCreated, productChanged, productDeleted, stockReserved, stockRefused } = productsEvents

export const needs: Readonly<Record<ServiceName, Needs>> = {
  auth: {
    database: true,
    objectStore: true,
    smtp: false,
    consumes: Object.values(exportEvents),
    hears: [authEvents.sessionRevoked, authEvents.userChanged],
  },
  products: {
    database: true,
    objectStore: true,
    smtp: false,
    consumes: [orderPlaced, orderRejected, orderCancelled, authEvents.userDeleted, authEvents.exportRequested],
    hears: [],
  },
  orders: {
    database: true,
    objectStore: false,
    smtp: false,
    consumes: [
      productCreated,
      productChanged,
      productDeleted,
      stockReserved,
      stockRefused,
      authEvents.userDeleted,
      authEvents.exportRequested,
    ],
    hears: [orderConfirmed, orderRejected, orderCancelled, authEvents.sessionRevoked],
  },
  notifications: {
    database: true,
    objectStore: false,
    smtp: true,
    consumes: [
      authEvents.userChanged,
      authEvents.verificationRequested,
      authEvents.registrationRepeated,
      authEvents.loginCodeRequested,
      authEvents.passwordResetRequested,
      authEvents.passwordChanged,
      authEvents.factorChanged,
      authEvents.secondFactorFailed,
      authEvents.sessionOpened,
      authEvents.emailChangeRequested,
      authEvents.emailChanged,
      authEvents.userDeleted,
      authEvents.exportRequested,
      orderConfirmed,
      orderRejected,
      orderCancelled,
      ordersEvents.cartChanged,
      productCreated,
      productChanged,
      productDeleted,
      productsEvents.stockRanLow,
      ...Object.values(scheduleEvents),
    ],
    hears: [],
  },
  frontend: { database: false, objectStore: false, smtp: false, consumes: [], hears: [] },
}

/** What a service may publish: every event that names it as publisher. */
export function publishedBy(service: ServiceName): readonly Event[] {
  return [...allEvents.values()].filter((declared) => declared.publishedBy === service)
}

export function routesOf(service: ServiceName): readonly Route[] {
  return allRoutes.filter((declared) => declared.service === service)
}

/** The services that keep state, in the order in which they are migrated and started. */
export const statefulServices = serviceNames.filter((name) => needs[name].database)
