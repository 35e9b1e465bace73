const NAME_BYTES_MAX = 63

const textByName = new Map<string, string>()

/**
 * A named SQL text whose rows have the shape `Row`. Postgres parses and plans it once a connection.
 *
 * The parameter exists only in types: it carries `Row` from the definition to the call.
 */
export interface Statement<Row> {
  readonly name: string
  readonly text: string
  readonly row?: Row
}

/**
 * Names a SQL text. Parameters are `$1` … only; a JSON parameter is passed as text (`JSON.stringify`), because
 * the driver turns a JavaScript array into a Postgres array.
 *
 * Rows are read like this: `bigint` and `int` as number, `numeric` and `uuid` as text, `timestamptz` as Date,
 * `date` as `YYYY-MM-DD`, `jsonb` parsed, SQL arrays as arrays.
 *
 * @throws {Error} when another text already has this name, or the name is longer than Postgres keeps (63 bytes).
 */
export function sql<Row = never>(name: string, text: string): Statement<Row> {
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) throw new Error(`The statement name ${name} is too long`)
  const known = textByName.get(name)
  if (known !== undefined && known !== text) throw new Error(`Two different statements are named ${name}`)
  textByName.set(name, text)
  return Object.freeze({ name, text })
}
