import { expect, test } from 'vitest'
import { localeFor } from '../web/locale.ts'

test('dates and prices follow the browser’s region, in the language of the page', () => {
  expect(localeFor('en', ['de-AT', 'en-GB', 'en-US'])).toBe('en-GB')
  expect(localeFor('de', ['de-AT', 'en-GB'])).toBe('de-AT')
  expect(localeFor('de', ['fr-FR'])).toBe('de')
})

test('a tag that no formatter takes is passed over', () => {
  expect(localeFor('en', ['en-US@posix', 'en-IE'])).toBe('en-IE')
  expect(localeFor('en', ['en-US@posix', 'en_US.UTF-8', 'en-'])).toBe('en')
})
