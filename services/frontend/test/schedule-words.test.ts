import { expect, test } from 'vitest'
import { rhythmInWords } from '../web/schedule-words.ts'
import { operate as german } from '../web/texts/de/operate.ts'
import { operate as english } from '../web/texts/en/operate.ts'

test.each([
  ['0 7 * * *', 'Every day at 07:00', 'Jeden Tag um 07:00'],
  [
    '30 18 * * 1-5',
    'Every Monday, Tuesday, Wednesday, Thursday and Friday at 18:30',
    'Jeden Montag, Dienstag, Mittwoch, Donnerstag und Freitag um 18:30',
  ],
  ['0 9 * * FRI', 'Every Friday at 09:00', 'Jeden Freitag um 09:00'],
  ['0 9 * * 0,6', 'Every Saturday and Sunday at 09:00', 'Jeden Samstag und Sonntag um 09:00'],
  ['0 9 * * 7', 'Every Sunday at 09:00', 'Jeden Sonntag um 09:00'],
  ['5 0 1,15 * *', 'On day 1 and 15 of the month at 00:05', 'Am Tag 1 und 15 des Monats um 00:05'],
  ['0 8 24 DEC *', 'On day 24 of the month in December at 08:00', 'Am Tag 24 des Monats im Dezember um 08:00'],
  [
    '0 8 1 */6 *',
    'On day 1 of the month in January and July at 08:00',
    'Am Tag 1 des Monats im Januar und Juli um 08:00',
  ],
  ['0 8 13 * 5', 'On day 13 of the month and every Friday at 08:00', 'Am Tag 13 des Monats und jeden Freitag um 08:00'],
])('%s is said in words', (cron, inEnglish, inGerman) => {
  expect(rhythmInWords(cron, 'en-GB', english.operate.rhythm)).toBe(inEnglish)
  expect(rhythmInWords(cron, 'de', german.operate.rhythm)).toBe(inGerman)
})

test('what the words cannot say is left to the expression', () => {
  for (const cron of [
    '*/5 * * * *',
    '0 8 L * *',
    '0 8 * * 5#2',
    '0 8 * *',
    '0 8 * * * *',
    '99 8 * * *',
    '0 8 5-1 * *',
    '',
  ]) {
    expect([cron, rhythmInWords(cron, 'en', english.operate.rhythm)]).toEqual([cron, undefined])
  }
})
