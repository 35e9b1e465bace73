import type { Static, TObject } from 'typebox'
import type { ServiceName } from './route.ts'

/** One kind of message on the stream: CloudEvents 1.0 in binary mode, body `data` as JSON. */
export interface Event {
  /** `msg.<service>.<noun>.<past-tense verb>` */
  readonly subject: string
  /** `ce-type`; the trailing number is the major version, within which changes only add fields. */
  readonly type: string
  readonly publishedBy: ServiceName
  /** The kind of thing it is about; its id and version travel as `ce-subject` and `ce-aggregateversion`. */
  readonly aggregate: string
  readonly summary: string
  readonly data: TObject
  readonly example: unknown
}

export type DataOf<E extends Event> = Static<E['data']>

export function event<const E extends Omit<Event, 'type' | 'publishedBy'>, D extends TObject>(
  definition: E & { readonly data: D; readonly example: Static<D> },
): E & { readonly data: D; readonly type: string; readonly publishedBy: ServiceName } {
  const [, publisher, noun, verb] = definition.subject.split('.')
  return { ...definition, type: `saas.${publisher}.${noun}.${verb}.v1`, publishedBy: publisher as ServiceName }
}
