import { allEvents, needs } from './catalogue.ts'
import type { Event } from './event.ts'
import { serviceNames } from './route.ts'

type Json = { readonly [key: string]: unknown }

/** CloudEvents 1.0 attributes as NATS headers; the body is the event's data as JSON. */
const headers = {
  type: 'object',
  required: ['ce-specversion', 'ce-id', 'ce-source', 'ce-type', 'ce-time', 'ce-subject', 'ce-aggregateversion'],
  properties: {
    'ce-specversion': { const: '1.0' },
    'ce-id': {
      type: 'string',
      format: 'uuid',
      description: 'The outbox id, also `Nats-Msg-Id`; each id takes effect once',
    },
    'ce-source': { type: 'string', description: 'The publishing service' },
    'ce-type': { type: 'string', description: 'Ends in the major version; additive changes keep it' },
    'ce-time': { type: 'string', format: 'date-time' },
    'ce-subject': { type: 'string', description: 'The id of the aggregate it is about' },
    'ce-aggregateversion': { type: 'string', pattern: '^[0-9]+$', description: '1 to n for each aggregate' },
    traceparent: { type: 'string', description: 'W3C trace context of the request that caused it' },
  },
}

/** The AsyncAPI 3.0 document of every event on the stream `messages`: who publishes it and who applies it. */
export function asyncapi(): Json {
  const events = [...allEvents.values()]
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'saas',
      version: '1',
      description:
        'NATS JetStream, stream `messages`, subjects `msg.>`. Delivery is at least once; consumers keep an inbox.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(events.map((event) => [event.subject, channel(event)])),
    operations: Object.fromEntries([
      ...events.map((event) => [`${event.publishedBy}_sends_${name(event)}`, operation('send', event)]),
      ...serviceNames.flatMap((service) =>
        needs[service].consumes.map((event) => [`${service}_receives_${name(event)}`, operation('receive', event)]),
      ),
    ]),
    components: { messages: Object.fromEntries(events.map((event) => [name(event), message(event)])) },
  }
}

function name(event: Event): string {
  return event.subject.replace('msg.', '').replaceAll(/[.-]/g, '_')
}

function channel(event: Event): Json {
  return {
    address: event.subject,
    messages: { [name(event)]: { $ref: `#/components/messages/${name(event)}` } },
  }
}

function operation(action: 'send' | 'receive', event: Event): Json {
  // JSON pointers into `channels` need no escape: subjects hold neither ~ nor /.
  return { action, channel: { $ref: `#/channels/${event.subject}` }, summary: event.summary }
}

function message(event: Event): Json {
  return {
    name: event.type,
    title: event.summary,
    contentType: 'application/json',
    headers,
    payload: event.data,
    examples: [{ payload: event.example }],
  }
}
