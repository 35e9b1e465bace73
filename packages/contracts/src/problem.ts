import type { Static } from 'typebox'
import { Type } from './schema.ts'

/** One kind of error (RFC 9457). `type` is relative to the shop's own URL, where a page explains it. */
export interface Problem {
  readonly name: string
  readonly type: string
  readonly title: string
  readonly status: number
  /** What it means and what the caller can do, for the problem's page. */
  readonly explanation: string
}

export interface FieldError {
  /** JSON pointer (RFC 6901) into the body, or `/query/<name>`, `/headers/<name>`, `/params/<name>`. */
  readonly pointer: string
  readonly detail: string
}

export function problem(definition: Omit<Problem, 'type'>): Problem {
  return { ...definition, type: `/problems/${definition.name}` }
}

/** Thrown by domain code; the service answers it as problem+json. Its message never holds a secret. */
export class ProblemError extends Error {
  readonly problem: Problem
  readonly detail: string | undefined
  readonly errors: readonly FieldError[] | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(
    thrown: Problem,
    options: {
      detail?: string
      errors?: readonly FieldError[]
      headers?: Record<string, string>
      cause?: unknown
    } = {},
  ) {
    super(options.detail ?? thrown.title, { cause: options.cause })
    this.name = 'ProblemError'
    this.problem = thrown
    this.detail = options.detail
    this.errors = options.errors
    this.headers = options.headers ?? {}
  }
}

/** The wire shape of every error, media type `application/problem+json`. */
export const ProblemBody = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String()),
    instance: Type.Optional(Type.String()),
    errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }))),
  },
  { $id: 'Problem' },
)
export type ProblemBody = Static<typeof ProblemBody>
