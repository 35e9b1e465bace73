import { createApp, listen, registerRoutes, runService, type RunningService, type ServiceContext } from '@saas/http'
import { State } from '@saas/state'
import { notificationsVariables, type NotificationsConfig } from './config.ts'
import { Courier } from './courier.ts'
import { applyEvents, consumedEvents } from './events.ts'
import { Jobs } from './jobs.ts'
import { MailList } from './mail-list.ts'
import { Mails } from './mails.ts'
import { parseSender } from './message.ts'
import { builtInSchedules } from './built-in.ts'
import { Scheduler } from './scheduler.ts'
import { Schedules } from './schedules.ts'
import { notificationsHandlers, servedRoutes } from './routes.ts'
import { SmtpServers } from './smtp.ts'
import { Templates } from './templates.ts'

/** One attempt at one server may take this many times CONN_TIMEOUT; servers are slow to answer a whole mail. */
const SEND_TIMEOUTS = 2

/** Starts the service; disposing claims no more mails, finishes those under way, and then lets go of everything. */
export async function startNotifications(
  config: NotificationsConfig,
  { logger, clock }: ServiceContext,
): Promise<RunningService> {
  const sender = parseSender(config.mailFrom)
  const templates = new Templates()
  const connectTimeoutMs = config.connTimeoutSeconds * 1_000
  const sendTimeoutMs = connectTimeoutMs * SEND_TIMEOUTS

  await using resources = new AsyncDisposableStack()
  const state = resources.use(State.connect(config, { service: 'notifications', logger, clock }))
  const { database, bus } = state
  const smtp = resources.use(new SmtpServers({ urls: config.smtpUrls, connectTimeoutMs, sendTimeoutMs, clock, logger }))
  const courier = resources.use(
    new Courier({
      mails: new Mails(database),
      smtp,
      templates,
      sender,
      shop: { name: sender.name, url: config.publicUrl },
      secretKey: config.mailSecretKey,
      sendTimeoutMs: sendTimeoutMs * config.smtpUrls.length,
      clock,
      logger,
    }),
  )
  const { internalTokenKeys } = config
  const app = createApp({
    service: 'notifications',
    routes: servedRoutes,
    logger,
    clock,
    internalTokenKeys,
    checks: state.checks,
  })
  state.exposeMetrics(app.metrics)
  registerRoutes(
    app,
    servedRoutes,
    notificationsHandlers({ bus, courier, clock, mails: new MailList(database), schedules: new Schedules(database) }),
  )

  bus.startRelay()
  bus.consume({
    durable: 'notifications',
    events: consumedEvents,
    apply: (tx, messages) => applyEvents(tx, messages, clock.now()),
    afterCommit: () => courier.nudge(),
  })
  courier.start()
  resources.use(new Jobs(database, clock, logger)).start()
  const builtIn = builtInSchedules(config.shopZone)
  resources.use(new Scheduler({ database, clock, logger, builtIn, onPlanned: () => courier.nudge() })).start()

  const running = resources.use(await listen(app, config))
  const owned = resources.move()
  const { url, opsUrl } = running
  return { app: running.app, url, opsUrl, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

if (import.meta.main) {
  await runService({ name: 'notifications', variables: notificationsVariables, start: startNotifications })
}
