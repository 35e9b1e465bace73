import { ImportedProduct, ProblemError, problems, type FieldError } from '@saas/contracts'
import { parseStrictJson, valueChecker } from '@saas/http'
import { CsvRecords, formatRecord, type CsvLine, type CsvRecord, type Fields } from './csv.ts'
import { isCurrency } from './currency.ts'
import { readLines, type Line } from './lines.ts'
import { keptForm } from './product-text.ts'

export type Format = 'ndjson' | 'csv'

/** One product of a file, or why the line is none. `line` is where it begins, counted from 1. */
export type ProductLine =
  | { readonly line: number; readonly product: ImportedProduct }
  | { readonly line: number; readonly reason: string }

/** Longer than any product can get, also in CSV, which doubles the quotation marks of JSON. */
const LINE_BYTES_MAX = 262_144
const REASON_LENGTH_MAX = 300
const columns = [
  'sku',
  'name',
  'description',
  'amount',
  'currency',
  'stock',
  'lowStockThreshold',
  'category',
  'tags',
  'attributes',
] as const
const requiredColumns: readonly string[] = ['sku', 'name', 'amount', 'currency']
type Column = (typeof columns)[number]

/** What a spreadsheet computes instead of showing it, with or without apostrophes before it. */
const FORMULA = /^'*[=+\-@\t\r\n＝＋－＠]/

const errorsOf = valueChecker(ImportedProduct)
const TOO_LONG = `A line may have at most ${LINE_BYTES_MAX} bytes.`

/** The products of a file, some lines at a time. @throws {ProblemError} `invalid-request` when a CSV has a wrong header. */
export async function* readProducts(chunks: AsyncIterable<Buffer>, format: Format): AsyncGenerator<ProductLine[]> {
  const lines = readLines(chunks, LINE_BYTES_MAX)
  if (format === 'csv') {
    yield* readCsv(lines)
    return
  }
  for await (const some of lines) {
    yield some.filter(({ text }) => text === undefined || !isBlank(text)).map(readJsonLine)
  }
}

function isBlank(text: Buffer): boolean {
  return text.length === 0 || text.toString('latin1').trim() === ''
}

function readJsonLine({ number, text }: Line): ProductLine {
  if (text === undefined) return { line: number, reason: TOO_LONG }
  try {
    return checked(number, parseStrictJson(text), fieldOf)
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
    const detail = error.detail?.replace('The body', 'The line') ?? ''
    return { line: number, reason: reasonOf(error.errors ?? [], fieldOf) || shortened(detail) }
  }
}

async function* readCsv(lines: AsyncIterable<Line[]>): AsyncGenerator<ProductLine[]> {
  let header: readonly Column[] | undefined
  const records = new CsvRecords(LINE_BYTES_MAX)
  const readAll = (some: Iterable<CsvRecord>): ProductLine[] => {
    const read: ProductLine[] = []
    for (const { line, fields } of some) {
      if (header === undefined) header = headerOf(fields)
      else if (!isEmpty(fields)) read.push(readRecord(line, fields, header))
    }
    return read
  }
  for await (const some of lines) yield some.flatMap((line) => readAll(records.add(decoded(line))))
  yield readAll(records.end())
  if (header === undefined) throw wrongHeader(`there is none; the columns are ${columns.join(',')}`)
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decoded({ number, text }: Line): CsvLine {
  if (text === undefined) return { number, text: { wrong: TOO_LONG } }
  try {
    const line = utf8.decode(text)
    return { number, text: number === 1 ? line.replace(/^\uFEFF/, '') : line }
  } catch {
    return { number, text: { wrong: 'The line is not UTF-8.' } }
  }
}

/** An empty line is one empty field; spreadsheets write one of delimiters only. */
function isEmpty(fields: Fields): boolean {
  return Array.isArray(fields) && fields.every((field: string) => field.trim() === '')
}

function headerOf(names: Fields): readonly Column[] {
  if ('wrong' in names) throw wrongHeader(names.wrong)
  const unknown = names.filter((name) => !(columns as readonly string[]).includes(name))
  const missing = requiredColumns.filter((name) => !names.includes(name))
  const problem = [
    ...unknown.map((name) => `${JSON.stringify(name.slice(0, 50))} is not a column`),
    ...missing.map((name) => `${name} is missing`),
    ...(new Set(names).size < names.length ? ['a column stands twice'] : []),
  ]
  if (problem.length > 0) throw wrongHeader(`${problem.slice(0, 10).join(', ')}; the columns are ${columns.join(',')}`)
  return names as readonly Column[]
}

function wrongHeader(detail: string): ProblemError {
  return new ProblemError(problems.invalidRequest, {
    errors: [{ pointer: '/file', detail: `The first line: ${detail}` }],
  })
}

function readRecord(line: number, fields: Fields, header: readonly Column[]): ProductLine {
  if ('wrong' in fields) return { line, reason: fields.wrong }
  if (fields.some((field) => field.includes('\0'))) return { line, reason: 'The line has the character U+0000.' }
  if (fields.length !== header.length) {
    return { line, reason: `The line has ${fields.length} of the ${header.length} columns.` }
  }
  const cells = Object.fromEntries(header.map((name, index) => [name, fields[index] ?? ''])) as Partial<
    Record<Column, string>
  >
  const { sku, amount = '', currency, stock = '', lowStockThreshold = '', attributes = '' } = cells
  const [name, description, category] = [unmarked(cells.name), unmarked(cells.description), unmarked(cells.category)]
  const { tags = '' } = cells
  try {
    return checked(
      line,
      {
        sku,
        name,
        price: { amount: numberOf(amount), currency },
        description,
        ...(stock === '' ? {} : { stock: numberOf(stock) }),
        lowStockThreshold: lowStockThreshold === '' ? null : numberOf(lowStockThreshold),
        category: category === '' ? null : category,
        tags: tags.startsWith('[') ? parseStrictJson(Buffer.from(tags)) : tagsOf(tags),
        attributes: attributes === '' ? {} : parseStrictJson(Buffer.from(attributes)),
      },
      columnOf,
    )
  } catch (error) {
    if (error instanceof ProblemError) return { line, reason: 'Tags or attributes are not valid JSON.' }
    throw error
  }
}

/**
 * An apostrophe makes a text of what would be a formula, whoever wrote it into the catalogue. Import takes it away again. Tags have their
 * own, because spreadsheets in some languages begin a cell after each semicolon.
 */
function marked(text: string): string {
  return FORMULA.test(text) ? `'${text}` : text
}

function unmarked(text = ''): string {
  return text.startsWith("'") && FORMULA.test(text) ? text.slice(1) : text
}

function tagsOf(text: string): string[] {
  return text
    .split(';')
    .filter((tag) => tag !== '')
    .map(unmarked)
}

/** Only digits are a number; anything else is left as text, which the schema refuses. */
function numberOf(text: string): number | string {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text
}

function checked(line: number, value: unknown, nameOf: (pointer: string) => string): ProductLine {
  const wrong = errorsOf(value)
  if (wrong.length > 0) return { line, reason: reasonOf(wrong, nameOf) }
  const { product, errors } = keptForm(value as ImportedProduct, errorsOf)
  if (errors.length > 0) return { line, reason: reasonOf(errors, nameOf) }
  if (!isCurrency(product.price.currency))
    return { line, reason: `${nameOf('/price/currency')} must be an ISO 4217 code` }
  return { line, product }
}

function reasonOf(errors: readonly FieldError[], nameOf: (pointer: string) => string): string {
  return shortened(
    errors.map(({ pointer, detail }) => `${pointer === '' ? 'The line' : nameOf(pointer)} ${detail}`).join('; '),
  )
}

/** `/price/amount` as people write it: `price.amount`. */
function fieldOf(pointer: string): string {
  return pointer.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~')
}

/** The columns of a price stand by themselves. */
function columnOf(pointer: string): string {
  return fieldOf(pointer).replace(/^price\./, '')
}

function shortened(reason: string): string {
  return reason.slice(0, REASON_LENGTH_MAX)
}

export const csvHeader = formatRecord(columns)

/** The line that import reads back as the same product. */
export function formatProduct(product: Required<ImportedProduct>, format: Format): string {
  if (format === 'ndjson') return `${JSON.stringify(product)}\n`
  const { sku, name, description, price, stock, lowStockThreshold, category, tags, attributes } = product
  const isPlain = tags.every((tag) => !tag.includes(';')) && tags[0]?.startsWith('[') !== true
  return formatRecord([
    sku,
    marked(name),
    marked(description),
    String(price.amount),
    price.currency,
    String(stock),
    lowStockThreshold === null ? '' : String(lowStockThreshold),
    marked(category ?? ''),
    isPlain ? tags.map(marked).join(';') : JSON.stringify(tags),
    Object.keys(attributes).length === 0 ? '' : JSON.stringify(attributes),
  ])
}
