import { systemClock } from '@saas/config'
import type { DataOf, Event } from '@saas/contracts'
import { createLogger } from '@saas/http'
import { State } from '@saas/state'
import { v7 as uuidv7 } from 'uuid'
import type { Stage } from '../frame/stage.ts'
import { until } from '../shop/until.ts'

const PATIENCE_MS = 120_000

/** Publishes events as the service that owns them does, by its outbox, and waits until the stream has them all. */
export async function fillStream<E extends Event>(
  stage: Stage,
  event: E,
  items: readonly DataOf<E>[],
  aggregateIdOf: (item: DataOf<E>) => string,
): Promise<void> {
  const service = event.publishedBy
  await stage.prepareDatabase(service)
  const rows = items.map((data) => ({ id: uuidv7(), aggregate_id: aggregateIdOf(data), data }))
  await stage.query(
    service,
    `insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data)
     select id, $2, aggregate_id, 1, $3, data
     from jsonb_to_recordset($1::jsonb) as event(id uuid, aggregate_id text, data jsonb)`,
    [JSON.stringify(rows), event.aggregate, event.subject],
  )
  const broker = new URL(stage.servers.nats.url)
  broker.username = service
  broker.password = stage.secrets.servers.natsPasswords[service] ?? ''
  const config = {
    databaseUrl: stage.databaseUrl(service),
    natsBrokerUrl: broker.href,
    natsStreamReplicas: 1,
    connTimeoutSeconds: 10,
  }
  const logger = createLogger(service, 'warn')
  await using state = State.connect(config, { service, logger, clock: systemClock })
  state.bus.startRelay()
  await until(
    'the stream has every event',
    async () => (await state.bus.lag().catch(() => undefined))?.outboxPending === 0,
    PATIENCE_MS,
  )
}
