import { expect, test } from 'vitest'
import { newId } from '../src/index.ts'

test('ids are UUIDs of version 7 of this moment, and each is higher than the one before', () => {
  const before = Date.now()
  const ids = Array.from({ length: 20_000 }, newId)
  const after = Date.now()
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(ids).toEqual([...ids].toSorted())
  expect(new Set(ids).size).toBe(ids.length)
  const times = ids.map((id) => Number.parseInt(id.slice(0, 13).replace('-', ''), 16))
  expect(times[0]).toBeGreaterThanOrEqual(before)
  // A millisecond holds at least 2,048; ids are made faster than that only for moments.
  expect(times.at(-1)).toBeLessThanOrEqual(after + 20)
})
