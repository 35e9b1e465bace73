export const problems = {
  /** Titles by problem name; English has them in the contract. */
  problems: {} as Readonly<Record<string, string>>,
}
