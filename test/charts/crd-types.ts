import { ExternalSecret } from '@kubernetes-models/external-secrets/external-secrets.io/v1/ExternalSecret'
import { SecretStore } from '@kubernetes-models/external-secrets/external-secrets.io/v1/SecretStore'
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor'
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule'
import { SealedSecret } from '@kubernetes-models/sealed-secrets/bitnami.com/v1alpha1/SealedSecret'
import { IngressRoute } from '@kubernetes-models/traefik/traefik.io/v1alpha1/IngressRoute'
import { Middleware } from '@kubernetes-models/traefik/traefik.io/v1alpha1/Middleware'
import { schemaOf } from './definitions.ts'
import type { Rendered } from './helm.ts'
import { schemaErrors } from './structural-schema.ts'

interface Model {
  validate(): void
}

interface ModelClass {
  readonly apiVersion: string
  readonly kind: string
  readonly prototype: Model
}

const models: readonly ModelClass[] = [
  ExternalSecret,
  IngressRoute,
  Middleware,
  PodMonitor,
  PrometheusRule,
  SealedSecret,
  SecretStore,
]

/**
 * What in a custom resource is not as its project says: values of a wrong type or missing ones, and fields that do not exist. By the
 * published definition, where it is at hand (`loadDefinitions` comes first). Otherwise by validators that are made of it, and
 * read only fields that exist, so what they never read is unknown.
 */
export function crdErrors(object: Rendered): readonly string[] {
  const schema = schemaOf(object.apiVersion, object.kind)
  if (schema !== undefined) {
    // Metadata is every kind's, and not in the definition of one.
    return schemaErrors({ ...object, metadata: {} }, schema, `${object.kind} ${object.metadata.name}`)
  }
  const model = models.find(({ apiVersion, kind }) => apiVersion === object.apiVersion && kind === object.kind)
  const name = `${object.kind} ${object.metadata.name}`
  if (model === undefined) return [`${object.apiVersion} ${object.kind} is not a type that we know`]
  const read = new Set<string>()
  try {
    // Not on a model made of the object, which would read all of it.
    model.prototype.validate.call(watched(object, '', read))
  } catch (error) {
    return [`${name}: ${error instanceof Error ? error.message : String(error)}`]
  }
  return fieldsOf(object, '')
    .filter((path) => !read.has(path))
    .map((path) => `${name}${path} does not exist`)
}

/** The same object, which notes the path of each field that is read. */
function watched<T extends object>(value: T, path: string, read: Set<string>): T {
  return new Proxy(value, {
    get: (target, key, receiver) => {
      const field: unknown = Reflect.get(target, key, receiver)
      if (typeof key !== 'string') return field
      read.add(`${path}.${key}`)
      return typeof field === 'object' && field !== null ? watched(field, `${path}.${key}`, read) : field
    },
  })
}

function fieldsOf(value: unknown, path: string): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  const below = Object.entries(value).flatMap(([key, field]) => fieldsOf(field, `${path}.${key}`))
  return Array.isArray(value)
    ? below
    : Object.keys(value)
        .map((key) => `${path}.${key}`)
        .concat(below)
}
