import type { FieldCode } from '@saas/contracts'

export const problems = {
  /** Titles by problem name; English has them in the contract. */
  problems: {} as Readonly<Record<string, string>>,
  /** What is wrong with an entry, by code; the service says it in English. */
  findings: {} as Readonly<Partial<Record<FieldCode, (limit: string) => string>>>,
}
