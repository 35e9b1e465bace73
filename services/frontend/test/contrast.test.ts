import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

/** WCAG 2.2, 1.4.3 (text) and 1.4.11 (borders of controls, focus). */
const TEXT = 4.5
const CONTROL = 3

const css = await readFile(join(import.meta.dirname, '../web/styles/base.css'), 'utf8')
const grounds = ['paper', 'raised', 'sunken', 'good-ground', 'warm-ground', 'bad-ground']
const pairs: readonly (readonly [string, string, number])[] = [
  ...grounds.map((ground) => ['ink', ground, TEXT] as const),
  ...grounds.map((ground) => ['ink-soft', ground, TEXT] as const),
  ['on-petrol', 'petrol', TEXT],
  ['on-petrol', 'petrol-hover', TEXT],
  ['on-lime', 'lime', TEXT],
  ...['good', 'warm', 'bad'].flatMap((tone) =>
    ['paper', 'raised', `${tone}-ground`].map((ground) => [tone, ground, TEXT] as const),
  ),
  ['paper', 'bad', TEXT],
  ['paper', 'ink', TEXT],
  ...['paper', 'raised'].flatMap((ground) => [
    ['rule-strong', ground, CONTROL] as const,
    ['petrol', ground, CONTROL] as const,
  ]),
]

describe.each(['light', 'dark'] as const)('colours in the %s', (scheme) => {
  test.each(pairs)('%s on %s can be told apart at %s : 1', (front, back, least) => {
    expect(contrast(colour(front, scheme), colour(back, scheme))).toBeGreaterThanOrEqual(least)
  })
})

function colour(name: string, scheme: 'light' | 'dark'): string {
  const value = new RegExp(`--${name}: (?:light-dark\\((#\\w+), (#\\w+)\\)|(#\\w+));`).exec(css)
  return value?.[3] ?? value?.[scheme === 'light' ? 1 : 2] ?? `no --${name}`
}

function contrast(one: string, other: string): number {
  const [high = 0, low = 0] = [luminance(one), luminance(other)].toSorted((a, b) => b - a)
  return (high + 0.05) / (low + 0.05)
}

function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
