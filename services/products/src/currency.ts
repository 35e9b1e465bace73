const currencies: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'))

/** Whether the runtime lists it among the currencies (ISO 4217); it leaves out most past ones, metals, and codes for tests. */
export function isCurrency(code: string): boolean {
  return currencies.has(code)
}
