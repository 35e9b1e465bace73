import { IMPORT_ERRORS_MAX, productsRoutes, type ImportReport, type Product } from '@saas/contracts'
import { Database, sql } from '@saas/state'
import { eventually, signedIn, type TestService } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { create, customer, manager, movementsOf, sentEvents, startShop, stockViolations } from './fixtures.ts'

const { importProducts, exportProducts, listProducts } = productsRoutes

let shop: TestService
beforeAll(async () => {
  shop = await startShop()
})
afterAll(async () => {
  await shop[Symbol.asyncDispose]()
})

async function send(text: string | Buffer, type = 'application/x-ndjson') {
  const headers = { ...signedIn(importProducts, manager), 'content-type': type }
  const answer = await shop.app.inject({ method: 'POST', url: '/product/import', headers, payload: text })
  return { status: answer.statusCode, body: answer.json<ImportReport & { errors: { pointer: string }[] }>() }
}

async function fetchAll(format: 'csv' | 'ndjson'): Promise<string> {
  const headers = signedIn(exportProducts, manager)
  const answer = await shop.app.inject({ method: 'GET', url: `/product/export?format=${format}`, headers })
  expect(answer.statusCode).toBe(200)
  return answer.body
}

async function bySku(sku: string): Promise<Product | undefined> {
  const { body } = await shop.call(listProducts, { query: { q: sku, limit: 100 } })
  return (body.items as Product[]).find((product) => product.sku === sku)
}

const holdProduct = sql('test.hold_product', 'select from product where id = $1 for update')

const line = (sku: string, more: object = {}) =>
  JSON.stringify({ sku, name: sku, price: { amount: 100, currency: 'EUR' }, ...more })

describe('importing NDJSON', () => {
  test('good lines are kept, and each bad one is reported with its number and why', async () => {
    const text = [
      line('GOOD-1', { stock: 3, tags: ['x'] }),
      '{"sku": "BROKEN',
      '',
      line('BAD SKU'),
      line('NO-CURRENCY', { price: { amount: 1, currency: 'XXQ' } }),
      line('NEGATIVE', { price: { amount: -1, currency: 'EUR' } }),
      line('FIELD', { colour: 'red' }),
      line('NUL', { description: 'a\0b' }),
      line('LONG', { description: 'x'.repeat(300_000) }),
      line('NAME', { name: 'Tea\nfor two' }),
      line('GOOD-2'),
    ].join('\n')
    const bytes = Buffer.concat([Buffer.from(text), Buffer.from('\n{"sku":"\xff"}', 'latin1')])
    const { status, body } = await send(bytes)
    expect([status, body]).toMatchObject([200, { lines: 11, created: 2, changed: 0, refused: 9, stoppedAt: null }])
    expect(body.errors.map((error) => [error.line, error.reason])).toEqual([
      [2, expect.stringContaining('not valid JSON')],
      [4, 'sku must be letters, digits, `.`, `-` and `_`, the first a letter or a digit'],
      [5, 'price.currency must be an ISO 4217 code'],
      [6, 'price.amount must be at least 0'],
      [7, 'colour is not a known field'],
      [8, 'description must not contain the character U+0000'],
      [9, expect.stringContaining('at most 262144 bytes')],
      [10, expect.stringContaining('name must have')],
      [12, expect.stringContaining('not UTF-8')],
    ])
    expect(await bySku('GOOD-1')).toMatchObject({ stock: 3, tags: ['x'], version: 1 })
    expect(await bySku('GOOD-2')).toMatchObject({ stock: 0 })
  })

  test('again, it changes nothing; a change is one version, one event, and never the stock', async () => {
    const text = [line('TWICE-1', { stock: 5 }), line('TWICE-2', { stock: 5 })].join('\n')
    expect((await send(text)).body).toMatchObject({ created: 2 })
    expect((await send(text)).body).toMatchObject({ created: 0, changed: 0, unchanged: 2 })
    const dearer = line('TWICE-1', { stock: 9, price: { amount: 120, currency: 'EUR' } })
    expect((await send([dearer, line('TWICE-2')].join('\n'))).body).toMatchObject({ changed: 1, unchanged: 1 })
    const product = await bySku('TWICE-1')
    expect(product).toMatchObject({ stock: 5, version: 2, price: { amount: 120 } })
    const id = product?.id ?? ''
    const events = await sentEvents(shop.database, id)
    expect(events.map(({ subject, version, data }) => [subject, version, data['priceVersion']])).toEqual([
      ['msg.products.product.created', 1, 1],
      ['msg.products.product.changed', 2, 2],
    ])
    expect(await movementsOf(shop.database, id)).toMatchObject([
      { kind: 'initial', delta: 5, changed_by: manager.userId, source: importProducts.id },
    ])
    expect(await stockViolations(shop.database)).toEqual([])
  })

  test('of two lines with one SKU the later one counts', async () => {
    const text = [line('SAME', { name: 'First' }), line('SAME', { name: 'Second' })].join('\n')
    expect((await send(text)).body).toMatchObject({ lines: 2, created: 1, changed: 1 })
    expect(await bySku('SAME')).toMatchObject({ name: 'Second', version: 2 })
  })

  test('two imports of one file at once create each product once', async () => {
    const text = Array.from({ length: 700 }, (_, index) => line(`RACE-${index}`)).join('\n')
    const reports = await Promise.all([send(text), send(text), send(text)])
    expect(reports.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(reports.reduce((sum, { body }) => sum + body.created, 0)).toBe(700)
    expect(reports.reduce((sum, { body }) => sum + body.unchanged, 0)).toBe(1_400)
  })

  test('it stops after too many bad lines, and says where', async () => {
    const text = `${'bad\n'.repeat(IMPORT_ERRORS_MAX)}${line('AFTER')}`
    expect((await send(text)).body).toMatchObject({
      refused: IMPORT_ERRORS_MAX,
      stoppedAt: IMPORT_ERRORS_MAX,
      created: 0,
    })
    expect(await bySku('AFTER')).toBeUndefined()
  })
})

describe('importing CSV', () => {
  test('quoted fields, line feeds in them, and numbers of the lines where bad records begin', async () => {
    const text = [
      '\uFEFFsku,name,amount,currency,description,tags,attributes,stock',
      'CSV-1,"Tea, ""green""",490,EUR,"two',
      'lines",a;b,"{""Size"": 2}",4',
      'CSV-2,Cup,4.90,EUR,,,,1',
      'CSV-3,Cup,490,EUR',
      'CSV-4,C"up,490,EUR,,,,',
      'CSV-5,Cup,1,EUR,,,,',
      'CSV-6,"never closed,1,EUR,,,,',
    ].join('\r\n')
    const { body } = await send(text, 'text/csv; charset=utf-8')
    expect(body).toMatchObject({ created: 2, refused: 4 })
    expect(body.errors.map((error) => error.line)).toEqual([4, 5, 6, 8])
    expect(await bySku('CSV-1')).toMatchObject({
      name: 'Tea, "green"',
      description: 'two\r\nlines',
      tags: ['a', 'b'],
      attributes: { Size: 2 },
      stock: 4,
    })
  })

  test('a quotation mark that was forgotten costs its own line and no other', async () => {
    const long = 'x'.repeat(10_000)
    const text = [
      'sku,name,amount,currency,description',
      'MARK-1,"Tea,1,EUR,',
      'MARK-2,Cup,1,EUR,',
      'MARK-3,"Cup, blue",1,EUR,',
      'MARK-4,"Tea,1,EUR,',
      ...Array.from({ length: 15 }, (_, index) => `MARK-5-${index},Cup,1,EUR,${long}`),
      'MARK-6,"Tea,1,EUR,',
      'MARK-7,Cup,1,EUR,',
      Buffer.from('MARK-8,K\xe4se,1,EUR,', 'latin1'),
      'MARK-9,Cup,1,EUR,"two',
      'lines"',
      'MARK-10,"Tea,1,EUR,',
      'MARK-11,Cup,1,EUR,',
    ].map((part) => Buffer.concat([Buffer.from(part), Buffer.from('\r\n')]))
    const { body } = await send(Buffer.concat(text), 'text/csv')
    expect(body.errors.map((error) => error.line)).toEqual([2, 5, 21, 23, 26])
    expect(body).toMatchObject({ lines: 25, created: 20, refused: 5 })
  })

  test('a line with nothing in it is none, and what is wrong with others is said by their columns', async () => {
    const text = [
      'sku,name,amount,currency,tags',
      '',
      '   ',
      ',,,,',
      'a b,Cup,0x10,eur,',
      'WORDS-1,,1e3,XXQ,',
      'WORDS-2,Cup,1,XXQ,',
      'WORDS-3,Cup',
      `WORDS-4,Cup,1,EUR,${'t'.repeat(51)}`,
    ].join('\n')
    const { body } = await send(text, 'text/csv')
    expect(body).toMatchObject({ lines: 5, refused: 5 })
    expect(body.errors.map(({ line, reason }) => `${line}: ${reason}`)).toEqual([
      [
        '5: sku must be letters, digits, `.`, `-` and `_`, the first a letter or a digit',
        'amount must be a whole number',
        'currency must be three capital letters, an ISO 4217 code, such as EUR',
      ].join('; '),
      '6: name must not be empty; amount must be a whole number',
      '7: currency must be an ISO 4217 code',
      '8: The line has 2 of the 5 columns.',
      '9: tags.0 must have at most 50 characters',
    ])
  })

  test.each([';', '\t'])('the fields of a spreadsheet may end with %j', async (delimiter) => {
    const sku = `DELIMITER-${delimiter.charCodeAt(0)}`
    const rows = [
      ['\uFEFFsku', 'name', 'amount', 'currency', 'tags'],
      [sku, 'Cup, large', '1200', 'EUR', '"a;b"'],
      ['', '', '', '', ''],
      [sku, 'Cup', '1200', 'EUR', '"a"b'],
    ]
    const { body } = await send(rows.map((row) => row.join(delimiter)).join('\r\n'), 'text/csv')
    expect(body).toMatchObject({ lines: 2, created: 1 })
    expect(body.errors).toEqual([{ line: 4, reason: 'After a closing quotation mark the field must end.' }])
    expect(await bySku(sku)).toMatchObject({ name: 'Cup, large', price: { amount: 1200 }, tags: ['a', 'b'] })
  })

  test.each(['', 'sku,name,amount', 'sku,name,amount,currency,colour', 'sku,sku,name,amount,currency', '"sku,name'])(
    'the header %j is refused, and nothing is imported',
    async (header) => {
      const { status, body } = await send(`${header}\nHEADER,Cup,1,EUR\n`, 'text/csv')
      expect([status, body.errors[0]?.pointer]).toEqual([400, '/file'])
      expect(await bySku('HEADER')).toBeUndefined()
    },
  )
})

test('what is exported is imported again without a change, in both formats', async () => {
  await create(shop, {
    name: '"Quoted", too',
    description: 'two\n"lines"',
    tags: ['a;b', '[c'],
    attributes: { A: true, Größe: 1.5, 色: '=赤' },
    category: 'Ü',
  })
  const products = await shop.database.query('select from product where deleted_at is null')
  for (const [format, type] of [
    ['ndjson', 'application/x-ndjson'],
    ['csv', 'text/csv'],
  ] as const) {
    const { body } = await send(await fetchAll(format), type)
    expect(body).toMatchObject({ unchanged: products.length, created: 0, changed: 0, refused: 0 })
  }
})

test('what a spreadsheet would compute is a text in CSV, and comes back as it was', async () => {
  const texts = [
    { name: '=HYPERLINK("http://x.test","y")', description: '\t@x', category: '+1', tags: ['a', '-b', "'=c"] },
    { name: "'=1", description: "'", category: "''x", tags: ["'", '＝1'] },
  ]
  const made = await Promise.all(texts.map((fields) => create(shop, fields)))
  const lines = (await fetchAll('csv')).split('\r\n')
  const exported = made.map(({ sku }) => lines.find((text) => text.startsWith(`${sku},`)) ?? '')
  expect(exported.map((text, index) => text.replace(`${made[index]?.sku},`, ''))).toEqual([
    `"'=HYPERLINK(""http://x.test"",""y"")",'\t@x,490,EUR,10,,'+1,a;'-b;''=c,`,
    `''=1,',490,EUR,10,,''x,';'＝1,`,
  ])
  await send([lines[0], ...exported.map((text) => `COPY.${text}`)].join('\n'), 'text/csv')
  const copies = await Promise.all(made.map(({ sku }) => bySku(`COPY.${sku}`)))
  expect(copies).toMatchObject(texts)
})

test('texts are imported in one form, whichever they come in', async () => {
  const text = (form: 'NFC' | 'NFD') =>
    line('FORM', { name: 'Чайник', category: 'Für zuhause', tags: ['é'], attributes: { é: 'é' } }).normalize(form)
  expect((await send(text('NFD'))).body).toMatchObject({ created: 1 })
  expect(await bySku('FORM')).toMatchObject({
    name: 'Чайник'.normalize('NFC'),
    category: 'Für zuhause'.normalize('NFC'),
    tags: ['é'.normalize('NFC')],
    attributes: { ['é'.normalize('NFC')]: 'é'.normalize('NFC') },
  })
  expect((await send(text('NFC'))).body).toMatchObject({ unchanged: 1 })
  expect((await send(text('NFD'))).body).toMatchObject({ unchanged: 1 })
  const same = { tags: ['é'.normalize('NFC'), 'é'.normalize('NFD')] }
  // In this form each of them is two characters.
  const long = { name: '\u0958'.repeat(101) }
  const { body } = await send([line('FORM-TAGS', same), line('FORM-LONG', long)].join('\n'))
  expect(body.errors.map(({ reason }) => reason)).toEqual([
    expect.stringMatching(/^tags must/),
    'name must have at most 200 characters',
  ])
})

test('the longest product comes back, too', async () => {
  // As long as a body may be; its quotation marks take three characters in CSV.
  const value = '"'.repeat(310) + '\u0001'.repeat(190)
  const attributes = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`a${index}`, value]))
  await create(shop, { description: '\u{1f375}'.repeat(10_000), attributes })
  for (const [format, type] of [
    ['ndjson', 'application/x-ndjson'],
    ['csv', 'text/csv'],
  ] as const) {
    expect((await send(await fetchAll(format), type)).body).toMatchObject({ refused: 0, created: 0, changed: 0 })
  }
})

/** How many transactions wrote the products with these SKUs. */
const transactionsOf = async (prefix: string): Promise<number> => {
  const text = 'select count(distinct xmin::text)::int as count from product where starts_with(sku, $1)'
  const [row] = await shop.database.query<{ count: number }>(text, [prefix])
  return row?.count ?? 0
}

test('short lines are written many at a time, long ones few: nobody waits for long, and no statement takes too long', async () => {
  const short = Array.from({ length: 500 }, (_, index) => line(`SHORT-${index}`))
  const long = Array.from({ length: 100 }, (_, index) => line(`LONG-${index}`, { description: 'tea '.repeat(2_500) }))
  expect((await send([...short, ...long].join('\n'))).body).toMatchObject({ created: 600 })
  expect([await transactionsOf('SHORT-'), await transactionsOf('LONG-')]).toEqual([1, 4])
})

describe('an import of what others use', () => {
  /** Waits for a lock until it is given up, which is after half a second. */
  const waitingSince = async (): Promise<string> => {
    const [waiting] = await shop.database.query<{ since: string }>(
      `select xact_start::text as since
       from pg_stat_activity
       where datname = current_database() and usename = 'products' and wait_event_type = 'Lock'`,
    )
    return waiting?.since ?? ''
  }

  test('waits for a product that somebody holds for long', async () => {
    const { sku, id } = await create(shop)
    const { logger } = shop.log
    await using database = new Database({ url: shop.database.adminUrl, service: 'test', timeoutMs: 30_000, logger })
    const sent = await database.transaction(async (tx) => {
      await tx.query(holdProduct, [id])
      const importing = send(line(sku, { name: 'Waited for' }))
      const first = await eventually(async () => (await waitingSince()) || false)
      await eventually(async () => !['', first].includes(await waitingSince()))
      return { importing }
    })
    expect(await sent.importing).toMatchObject({ status: 200, body: { changed: 1 } })
    expect(await bySku(sku)).toMatchObject({ name: 'Waited for' })
  })
})

test('only who may change products may import and export', async () => {
  expect((await shop.call(exportProducts, { as: customer })).status).toBe(403)
  const headers = signedIn(importProducts, customer)
  const answer = await shop.app.inject({ method: 'POST', url: '/product/import', headers, payload: line('X') })
  expect(answer.statusCode).toBe(403)
})
