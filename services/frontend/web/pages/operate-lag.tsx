import { call } from '../client.ts'
import { Failure, Loading } from '../components/states.tsx'
import { bytes, count } from '../formats.ts'
import { texts } from '../language.ts'
import { useLoaded } from '../loaded.ts'
import { operatedNames, operatorOf, type OperatedService } from '../operator-calls.ts'

export function LagTables() {
  return (
    <div class="lag">
      {operatedNames.map((service) => (
        <LagTable key={service} service={service} />
      ))}
    </div>
  )
}

function LagTable({ service }: { service: OperatedService }) {
  const { operate } = texts.value
  const { loaded, reload } = useLoaded(
    async (signal) => (await call(operatorOf(service).getLag, { signal })).body,
    [service],
  )
  const current = loaded.value
  return (
    <section class="panel" aria-labelledby={`lag-${service}`}>
      <h3 id={`lag-${service}`}>{service}</h3>
      {current.state === 'loading' && <Loading />}
      {current.state === 'failed' && <Failure error={current.error} retry={reload} />}
      {current.state === 'ready' && (
        <>
          <dl class="facts">
            <div>
              <dt>{operate.outboxPending}</dt>
              <dd>{count(current.value.outboxPending)}</dd>
            </div>
            <div>
              <dt>{operate.streamMessages}</dt>
              <dd>{count(current.value.stream.messages)}</dd>
            </div>
            <div>
              <dt>{operate.streamBytes}</dt>
              <dd>
                {bytes(current.value.stream.bytes)} / {bytes(current.value.stream.bytesMax)}
              </dd>
            </div>
          </dl>
          {current.value.consumers.map(({ durable, pending, unacknowledged, redelivered }) => (
            <dl class="facts" key={durable}>
              <div>
                <dt>{operate.durable}</dt>
                <dd>{durable}</dd>
              </div>
              <div>
                <dt>{operate.pending}</dt>
                <dd>{count(pending)}</dd>
              </div>
              <div>
                <dt>{operate.unacknowledged}</dt>
                <dd>{count(unacknowledged)}</dd>
              </div>
              <div>
                <dt>{operate.redelivered}</dt>
                <dd>{count(redelivered)}</dd>
              </div>
            </dl>
          ))}
        </>
      )}
    </section>
  )
}
