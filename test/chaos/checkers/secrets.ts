import type { Checker, Checkers, Evidence } from './evidence.ts'

const SHOWN_CHARACTERS = 6

/** Every row of every table, as text: what a dump would hold. */
async function dumps({ databases }: Evidence): Promise<{ name: string; text: string }[]> {
  const found: { name: string; text: string }[] = []
  for (const [service, database] of Object.entries(databases)) {
    const tables = await database.query<{ name: string }>(
      `select quote_ident(tablename) as name from pg_tables where schemaname = 'public'`,
    )
    for (const { name } of tables) {
      const rows = await database.query<{ text: string }>(`select ${name}::text as text from ${name}`)
      found.push({ name: `table ${name} of ${service}`, text: rows.map(({ text }) => text).join('\n') })
    }
  }
  return found
}

/** No password, token or key that was live is in a dump, the stream, a dead letter or a log. */
const noSecretAnywhere: Checker = async (evidence) => {
  const { stream = [], logs = [], ledger } = evidence
  const places = [
    ...(await dumps(evidence)),
    { name: 'stream', text: stream.map(({ headers, body }) => JSON.stringify(headers) + body).join('\n') },
    ...logs,
  ]
  return places.flatMap(({ name, text }) =>
    [...ledger.secrets]
      .filter((secret) => text.includes(secret) || text.includes(Buffer.from(secret).toString('hex')))
      .map((secret) => `${name} holds the secret that begins with ${secret.slice(0, SHOWN_CHARACTERS)}`),
  )
}

export const secretCheckers: Checkers = { A12: noSecretAnywhere }
