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

/** What can be wrong at a place, for programs that say it in another language than `detail` does. */
export const fieldCodes = [
  'required',
  'unknown-field',
  'empty',
  'too-short',
  'too-long',
  'too-few',
  'too-many',
  'too-small',
  'too-large',
  'repeated',
  'not-a-number',
  'not-a-choice',
  'wrong-form',
  'unreadable',
  'untrimmed',
  'unknown-zone',
  'unknown-currency',
  'unchanged',
  'taken',
  'password-monotonous',
  'password-common',
  'password-own',
  'past',
] as const
export type FieldCode = (typeof fieldCodes)[number]

export interface FieldError {
  /** JSON pointer (RFC 6901) into the body, or `/query/<name>`, `/headers/<name>`, `/params/<name>`. */
  readonly pointer: string
  /** In English. */
  readonly detail: string
  /** Absent where `detail` alone can say it. */
  readonly code?: FieldCode
  /** The number that `too-…` is measured against. */
  readonly limit?: number
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
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String(),
          detail: Type.String({ description: 'In English' }),
          code: Type.Optional(
            Type.Enum(fieldCodes, { description: 'What is wrong, for programs; more codes may be added' }),
          ),
          limit: Type.Optional(Type.Number({ description: 'What `too-…` is measured against' })),
        }),
      ),
    ),
  },
  { $id: 'Problem' },
)
export type ProblemBody = Static<typeof ProblemBody>
