/**
 * Stands in for typebox in the browser (see vite.config.ts). The contract's schemas are types here and nothing more: the
 * services validate. Leaving their makers out saves a quarter of the script.
 */
const noSchema = (): object => ({})

export const Type = new Proxy<Record<string, typeof noSchema>>({}, { get: () => noSchema })
