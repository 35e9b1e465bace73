import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { attributeLines, readAttributes } from '../web/attribute-lines.ts'

test.each([
  ['an article number of zeros', { Number: '007' }, 'Number: 007'],
  ['a size with a zero at its end', { Size: '1.50' }, 'Size: 1.50'],
  ['a number', { Watts: 40, Volume: 1.5, Depth: -2 }, 'Watts: 40\nVolume: 1.5\nDepth: -2'],
  ['a text that looks like a number', { Size: '42' }, 'Size: "42"'],
  ['yes and no', { Dishwasher: false, Oven: 'true' }, 'Dishwasher: false\nOven: "true"'],
  ['a serial number that no number holds', { Serial: '90071992547409931' }, 'Serial: 90071992547409931'],
  ['several lines', { Care: 'Wash\ncold' }, String.raw`Care: "Wash\ncold"`],
  ['inches', { Screen: '27" wide', Name: '"Otto"' }, String.raw`Screen: 27" wide${'\n'}Name: "\"Otto\""`],
  ['nothing', { Note: '' }, 'Note: '],
  ['what other languages call it', { Größe: 'L', 色: '赤：朱' }, 'Größe: L\n色: 赤：朱'],
])('%s is written so that it is read back as it is', (_what, attributes, lines) => {
  expect(attributeLines(attributes)).toBe(lines)
  expect(readAttributes(lines)).toEqual({ attributes })
})

test('whatever a product has is read back from what the form shows', () => {
  const name = fc.stringMatching(/^[A-Za-zß色]([A-Za-z0-9é字 _-]{0,8}[A-Za-z0-9_-])?$/)
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('0', '-0', '1e3', '1e21', '.5', '5.', 'NaN', 'Infinity', 'true', '"', '""', '"a"', '0x10', ' 1'),
    fc.double().map(String),
  )
  const number = fc.double({ min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, noNaN: true })
  const value = fc.oneof(
    text,
    number.filter((some) => !Object.is(some, -0)),
    fc.boolean(),
  )
  fc.assert(
    fc.property(fc.dictionary(name, value, { noNullPrototype: true }), (attributes) => {
      expect(readAttributes(attributeLines(attributes))).toEqual({ attributes })
    }),
  )
})

test('a line that names nothing is told from one whose name cannot be', () => {
  expect(readAttributes('Colour: blue\n\nheavy')).toEqual({ noColon: 'heavy' })
  expect(readAttributes('2 sizes: L')).toEqual({ wrongName: '2 sizes' })
  expect(readAttributes(': L')).toEqual({ wrongName: '' })
})

test('the colon of a Chinese or Japanese keyboard is one, and names have one form', () => {
  expect(readAttributes(`色：赤: 朱\n${'Größe'.normalize('NFD')}: L`)).toEqual({
    attributes: { 色: '赤: 朱', ['Größe'.normalize('NFC')]: 'L' },
  })
})
