import { afterAll, expect, test, vi } from 'vitest'
import { place, placeOf } from '../web/router.ts'

// The browser's, where the language is looked up first.
vi.stubGlobal('localStorage', { getItem: () => null })
vi.stubGlobal('document', { documentElement: {} })
afterAll(() => {
  vi.unstubAllGlobals()
})
const { forgetNoticesOfOtherPages, notices, say } = await import('../web/notices.ts')

test('good news leaves with the page it was said on, trouble and another filter of the page do not matter', () => {
  const show = (path: string) => (place.value = placeOf(new URL(path, 'http://shop')))
  const shown = () => notices.value.map(({ text }) => text)
  forgetNoticesOfOtherPages()
  show('/p/1')
  say('No answer came.', 'trouble')
  say('Tea is in your basket.')
  show('/p/1?from=search')
  expect(shown()).toEqual(['No answer came.', 'Tea is in your basket.'])
  show('/basket')
  expect(shown()).toEqual(['No answer came.'])
})
