import { pages, type PageName } from '@saas/contracts'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { linkTo, placeOf, safeNext } from '../web/router.ts'

const names = Object.keys(pages) as PageName[]

describe('pages', () => {
  test('a link to a page of the contract leads to that page, with what was put into it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.uuid(), (name, id) => {
        const params = Object.fromEntries([...pages[name].matchAll(/\{(\w+)\}/g)].map(([, param]) => [param, id]))
        const place = placeOf(new URL(linkTo(name, params, { q: 'a b' }), 'http://shop'))
        expect(place.page).toBe(name)
        expect(place.query.get('q')).toBe('a b')
        expect(place.params).toEqual(params)
      }),
    )
  })

  test('what no page is called is no page', () => {
    for (const path of ['/nothing', '/p/', '/p/a/b', '/my', '/p/%E0%A4%A', '/basket/']) {
      expect([path, placeOf(new URL(path, 'http://shop')).page]).toEqual([path, undefined])
    }
  })

  test('after signing in nobody is sent out of the shop', () => {
    for (const next of [
      null,
      '',
      'https://evil.example',
      '//evil.example',
      String.raw`/\evil.example`,
      '/nothing',
      'basket',
    ]) {
      expect([next, safeNext(next)]).toEqual([next, '/'])
    }
    expect(safeNext('/basket?x=1')).toBe('/basket?x=1')
  })
})
