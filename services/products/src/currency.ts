const currencies: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'))

/** Whether it is an ISO 4217 code that the runtime knows, past ones included. */
export function isCurrency(code: string): boolean {
  return currencies.has(code)
}
