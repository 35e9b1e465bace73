import { createApp, listen, registerRoutes, runService, type RunningService, type ServiceContext } from '@saas/http'
import { State } from '@saas/state'
import { notificationsVariables, type NotificationsConfig } from './config.ts'
import { Courier } from './courier.ts'
import { applyEvents, consumedEvents } from './events.ts'
import { Jobs } from './jobs.ts'
import { MailList } from './mail-list.ts'
import { Mails } from './mails.ts'
import { MailMetrics } from './metrics.ts'
import { parseSender } from './message.ts'
import { Presence } from './presence.ts'
import { builtInSchedules } from './built-in.ts'
import { parseQuietHours } from './quiet-hours.ts'
import { Scheduler } from './scheduler.ts'
import { Schedules } from './schedules.ts'
import { notificationsHandlers, servedRoutes } from './routes.ts'
import { SmtpServers } from './smtp.ts'
import { TEMPLATES, Templates } from './templates.ts'

/** One attempt at one server may take this many times CONN_TIMEOUT; servers are slow to answer a whole mail. */
const SEND_TIMEOUTS = 2
const HOUR_MS = 3_600_000
/** So few are applied within a second. */
const CAUGHT_UP_MESSAGES = 1_000

/** What a test brings itself. */
export interface NotificationsParts {
  readonly templatesDirectory?: string | undefined
  /** How often a courier says that it lives. */
  readonly beatMs?: number
  /** How long one is silent that the others take for dead. */
  readonly silenceMs?: number
}

/** Starts the service; disposing claims no more mails, finishes those and the requests under way, and then lets go of everything. */
export async function startNotifications(
  config: NotificationsConfig,
  context: ServiceContext,
  { templatesDirectory = TEMPLATES, beatMs, silenceMs }: NotificationsParts = {},
): Promise<RunningService> {
  const sender = parseSender(config.mailFrom)
  const quiet = parseQuietHours(config.quietHours)
  const templates = new Templates({ directory: templatesDirectory, isEncoded: true })
  const connectTimeoutMs = config.connTimeoutSeconds * 1_000
  const cartReminderMs = config.cartReminderHours * HOUR_MS
  const sendTimeoutMs = connectTimeoutMs * SEND_TIMEOUTS

  await using resources = new AsyncDisposableStack()
  const state = resources.use(State.connect(config, { service: 'notifications', ...context }))
  const { logger, clock } = context
  const { database, bus } = state
  const mails = new Mails(database)
  const metrics = new MailMetrics(mails, () => clock.now())
  const onAttempt = metrics.observeAttempt.bind(metrics)
  const smtp = resources.use(
    new SmtpServers({ urls: config.smtpUrls, connectTimeoutMs, sendTimeoutMs, clock, logger, onAttempt }),
  )
  const attemptMs = sendTimeoutMs * config.smtpUrls.length
  const presence = resources.use(
    new Presence({ database, logger, now: () => clock.now(), sendTimeoutMs: attemptMs, beatMs, silenceMs }),
  )
  const courier = resources.use(
    new Courier({
      mails,
      smtp,
      templates,
      sender,
      shop: { name: sender.name, url: config.publicUrl },
      secretKey: config.mailSecretKey,
      secretKeyAccepted: config.mailSecretKeyAccepted,
      quiet,
      sendTimeoutMs: attemptMs,
      clock,
      logger,
      metrics,
      presence,
    }),
  )
  const { internalTokenKeys } = config
  const app = createApp({ service: 'notifications', routes: servedRoutes, ...context, internalTokenKeys, state })
  // Beside the requests that still run, not after them: both have the same deadline.
  app.stopping.signal.addEventListener('abort', () => void courier.stop(), { once: true })
  metrics.expose(app.metrics)
  registerRoutes(
    app,
    servedRoutes,
    notificationsHandlers({ bus, courier, clock, mails: new MailList(database), schedules: new Schedules(database) }),
  )

  bus.startRelay()
  bus.consume({
    durable: 'notifications',
    events: consumedEvents,
    apply: async (tx, messages) => {
      const queued = await applyEvents(tx, messages, { now: clock.now(), cartReminderMs })
      return () => {
        for (const kind of queued) metrics.count(kind, 'queued')
        courier.nudge()
      }
    },
  })
  presence.start(() => courier.nudge())
  courier.start()
  resources.use(new Jobs(database, clock, logger)).start()
  const builtIn = builtInSchedules(config.shopZone)
  const isCaughtUp = async (): Promise<boolean> => {
    const { consumers } = await bus.lag()
    return consumers.every(({ pending, unacknowledged }) => pending + unacknowledged < CAUGHT_UP_MESSAGES)
  }
  const onPlanned = (): void => courier.nudge()
  resources.use(new Scheduler({ database, clock, logger, builtIn, quiet, isCaughtUp, onPlanned })).start()

  return await listen(app, config, resources)
}

if (import.meta.main) {
  await runService({ name: 'notifications', variables: notificationsVariables, start: startNotifications })
}
