import { notificationsRoutes, operatorRoutes } from '@saas/contracts'
import type { Clock } from '@saas/config'
import { operatorHandlers, type Handlers } from '@saas/http'
import type { Bus } from '@saas/state'
import type { Courier } from './courier.ts'
import type { MailList } from './mail-list.ts'
import type { Schedules } from './schedules.ts'

export const servedRoutes = { ...notificationsRoutes, ...operatorRoutes('notifications') }

interface Domain {
  readonly bus: Bus
  readonly courier: Courier
  readonly mails: MailList
  readonly schedules: Schedules
  readonly clock: Clock
}

/** Operators only: shoppers have nothing to ask this service. */
export function notificationsHandlers({
  bus,
  courier,
  mails,
  schedules,
  clock,
}: Domain): Handlers<typeof servedRoutes> {
  return {
    listMails: async ({ query }) => ({ status: 200, body: await mails.list(query) }),
    resendMail: async ({ params }) => {
      const mail = await mails.resend(params.id, clock.now())
      courier.nudge()
      return { status: 200, body: mail }
    },
    listSchedules: async ({ query }) => ({ status: 200, body: await schedules.list(query) }),
    getSchedule: async ({ params }) => ({ status: 200, body: await schedules.get(params.id) }),
    putSchedule: async ({ params, body }) => {
      const { schedule, isNew } = await schedules.put(params.id, body, clock.now())
      return { status: isNew ? 201 : 200, body: schedule }
    },
    changeSchedule: async ({ params, body }) => ({
      status: 200,
      body: await schedules.change(params.id, body.status, clock.now()),
    }),
    cancelSchedule: async ({ params }) => ({ status: 200, body: await schedules.cancel(params.id, clock.now()) }),
    ...operatorHandlers(bus),
  }
}
