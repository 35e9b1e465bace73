import * as fc from 'fast-check'
import MimeNode from 'nodemailer/lib/mime-node'
import { describe, expect, test } from 'vitest'
import { needs } from '@saas/contracts'
import { isMailAddress, singleLine } from '../src/address.ts'
import { addressDelayMs, retryDelayMs } from '../src/backoff.ts'
import { Circuit } from '../src/circuit.ts'
import { consumedEvents } from '../src/events.ts'
import { formatMoney, formatTimeLeft } from '../src/format.ts'
import { Composer, messageIdOf, parseSender } from '../src/message.ts'
import { encodePiece, withoutBreaksAround } from '../src/quoted-printable.ts'
import { parseQuietHours, quietUntil } from '../src/quiet-hours.ts'
import { decodeMail } from './smtp-sink.ts'

const sender = parseSender('The Shop <shop@shop.example>')
const composer = new Composer(sender)
const now = new Date('2026-01-15T12:00:00.000Z')

test('the service applies exactly the events that the contracts say it consumes', () => {
  const subjects = (events: readonly { subject: string }[]): string[] => events.map(({ subject }) => subject).toSorted()
  expect(subjects(consumedEvents)).toEqual(subjects(needs.notifications.consumes))
})

describe('headers', () => {
  test('whatever an address, subject or body holds, a mail has the same header lines and one recipient', () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.constantFrom('a@b.example\r\nBcc: eve@example.com', 'a@b.example,eve@example.com', 'Eve <eve@example.com>'),
      fc.emailAddress(),
    )
    fc.assert(
      fc.property(fc.oneof(fc.emailAddress(), hostile), hostile, (to, subject) => {
        const rendered = {
          language: 'en',
          subject: `About ${singleLine(subject)}`,
          html: `<p>${subject}</p>`,
          text: `About ${subject}`,
        }
        // Nothing else becomes a mail: see the next test.
        fc.pre(isMailAddress(to))
        const { envelope, raw } = composer.compose('id', to, rendered, now)
        const [head = ''] = String(raw).split('\r\n\r\n', 1)
        const names = [...head.matchAll(/^([\w-]+):/gm)].map(([, name]) => name)
        expect(names.map(String).toSorted()).toEqual(
          [
            'Auto-Submitted',
            'Content-Language',
            'Content-Type',
            'Date',
            'From',
            'MIME-Version',
            'Message-ID',
            'Subject',
            'To',
          ].toSorted(),
        )
        expect(envelope.to).toHaveLength(1)
      }),
    )
  })

  test('what is not one plain address is refused before there is a mail', () => {
    const rendered = { language: 'en', subject: 'About', html: '', text: '' }
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (to) => {
        fc.pre(!isMailAddress(to))
        expect(() => composer.compose('id', to, rendered, now)).toThrow(/address/)
      }),
    )
  })

  test('whatever the two bodies hold, they arrive as they were, in short lines of plain characters', () => {
    const lines = fc
      .array(
        fc.constantFrom('A line of a template.', '  with = and blanks  ', 'Ünd.', '.', '.dot', 'x'.repeat(75) + '.'),
      )
      .map((all) => all.join('\n'))
    const body = fc.oneof(
      lines,
      fc.string({ unit: 'binary', maxLength: 400 }),
      fc.string({ unit: 'grapheme', maxLength: 400 }),
    )
    fc.assert(
      fc.property(body, body, (text, html) => {
        fc.pre(!/[\r\ud800-\udfff]/.test(text + html))
        const { raw } = composer.compose('id', 'ada@example.com', { language: 'en', subject: 'About', text, html }, now)
        const lines = String(raw).split('\r\n')
        for (const line of lines) expect(line).toMatch(/^(?!\.)[\t -~]{0,78}$/)
        const parts = String(raw).split('--part-id').slice(1, 3)
        const bodies = parts.map((part) => part.slice(part.indexOf('\r\n\r\n') + 4, -2))
        expect(bodies.map((part) => decodeMail(part).replaceAll('\r\n', '\n'))).toEqual([text, html])
      }),
    )
  })

  test('pieces of a text that are encoded one by one are the text, in short lines none of which ends a mail', () => {
    const piece = fc.oneof(
      fc.constantFrom('.', '', ' ', '\n', '.\n.', '\r\n.\r\n', '=', 'A line.\n', ' of', '\tund ', '€'.repeat(40)),
      fc.string({ unit: 'grapheme', maxLength: 100 }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const text = pieces.join('').replaceAll(/\r?\n/g, '\n')
        fc.pre(!/[\r\ud800-\udfff]/.test(text) && pieces.every((each) => !each.endsWith('\r')))
        const encoded = pieces.map(encodePiece).join('')
        for (const line of encoded.split('\r\n')) expect(line).toMatch(/^(?!\.)[\t -~]{0,76}$/)
        expect(encoded).not.toMatch(/[\t ]\r\n/)
        expect(decodeMail(encoded).replaceAll('\r\n', '\n')).toBe(text)
        expect(decodeMail(withoutBreaksAround(encoded)).replaceAll('\r\n', '\n')).toBe(
          text.replaceAll(/^\n+|\n+$/g, ''),
        )
      }),
      { numRuns: 500 },
    )
  })

  test('a mail with a line that would end it for a server is not made', () => {
    const rendered = { language: 'en', subject: 'About', html: '<p>\r\n.\r\nMAIL FROM:<eve@example.com>\r\n', text: '' }
    expect(() => composer.compose('id', 'ada@example.com', { ...rendered, isEncoded: true }, now)).toThrow(/dot/)
    expect(String(composer.compose('id', 'ada@example.com', rendered, now).raw)).not.toMatch(/^\./m)
  })

  test('what is written without nodemailer’s encoding is what that would have written', () => {
    const plain = fc.oneof(
      fc.emailAddress(),
      fc.constantFrom('a.b+c@sub.example.co', "o'neil@example.ie", '.a@b.example', 'a@B.example'),
    )
    const subjects = fc.string({ minLength: 1, maxLength: 80 }).map(singleLine)
    fc.assert(
      fc.property(plain, subjects, (to, subject) => {
        fc.pre(subject !== '' && isMailAddress(to))
        const { envelope, raw } = composer.compose('id', to, { language: 'en', subject, text: '', html: '' }, now)
        const node = new MimeNode().setHeader({ To: { name: '', address: to }, Subject: subject })
        const [expected] = node.buildHeaders().split('\r\nDate: ')
        const [, written] = String(raw).split(/^From: .*\r\n|\r\nMessage-ID: /m)
        expect(written).toBe(expected)
        expect(envelope.to).toEqual(node.getEnvelope().to)
      }),
    )
  })

  test('ordinary addresses pass, whatever else does not', () => {
    for (const good of [
      'ada@example.com',
      'a.b+c@sub.example.co',
      'jürgen@müller.example',
      "o'neil@example.ie",
      'admin@localhost',
    ]) {
      expect(isMailAddress(good), good).toBe(true)
    }
    for (const bad of [
      '',
      'ada',
      'ada@',
      '@b.example',
      'a b@c.example',
      'a@b.example\n',
      'a@b.example,c@d.example',
      '"a b"@c.example',
      '<a@b.example>',
      'a@b@c.example',
      `${'a'.repeat(65)}@b.example`,
      'a\u2028@b.example',
    ]) {
      expect(isMailAddress(bad), bad).toBe(false)
    }
  })

  test('the Message-ID follows from the mail, so every attempt bears the same', () => {
    expect(messageIdOf('01977c1e', sender)).toBe('<01977c1e@shop.example>')
  })

  test('a sender that is not one address is refused at the start', () => {
    expect(parseSender('shop@shop.example')).toEqual({
      name: 'shop.example',
      address: 'shop@shop.example',
      domain: 'shop.example',
    })
    for (const wrong of ['', 'Shop', 'a@b.example, c@d.example']) expect(() => parseSender(wrong)).toThrow(/MAIL_FROM/)
  })
})

describe('quiet hours', () => {
  const hours = parseQuietHours('22:00-07:00')
  const until = (zone: string | undefined, at: string): string | undefined =>
    quietUntil(hours, zone, new Date(at))?.toISOString().slice(0, 16)

  test.each([
    ['Europe/Berlin', '2026-01-15T20:59Z', undefined],
    ['Europe/Berlin', '2026-01-15T21:00Z', '2026-01-16T06:00'],
    ['Europe/Berlin', '2026-01-16T05:59Z', '2026-01-16T06:00'],
    ['Europe/Berlin', '2026-01-16T06:00Z', undefined],
    ['America/New_York', '2026-01-16T06:00Z', '2026-01-16T12:00'],
    // The night in which clocks go forward is an hour shorter, and the other one longer.
    ['Europe/Berlin', '2026-03-28T22:00Z', '2026-03-29T05:00'],
    ['Europe/Berlin', '2026-10-24T22:00Z', '2026-10-25T06:00'],
    [undefined, '2026-01-16T06:00Z', '2026-01-16T07:00'],
    ['Not/AZone', '2026-01-16T06:00Z', '2026-01-16T07:00'],
  ])('%s at %s: held until %s', (zone, at, expected) => {
    expect(until(zone, at)).toBe(expected)
  })

  test('whenever it is and wherever, a mail is held for no longer than a night, and goes when that has passed', () => {
    const zones = ['Europe/Berlin', 'America/Santiago', 'Asia/Beirut', 'Australia/Lord_Howe', 'Pacific/Apia', 'UTC']
    const spans = ['22:00-07:00', '23:30-02:30', '01:15-02:15', '00:00-06:00', '12:00-14:00']
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom(...spans),
        fc.date({ min: new Date('2026-01-01'), max: new Date('2027-01-01'), noInvalidDate: true }),
        (zone, span, at) => {
          const held = quietUntil(parseQuietHours(span), zone, at)
          if (held === undefined) return
          expect(held.getTime()).toBeGreaterThan(at.getTime())
          expect(held.getTime() - at.getTime()).toBeLessThanOrEqual(10 * 3_600_000)
          expect(quietUntil(parseQuietHours(span), zone, held)).toBeUndefined()
        },
      ),
    )
  })

  test('that nobody understands are refused at the start', () => {
    expect(parseQuietHours('off')).toBeUndefined()
    for (const wrong of ['', '22-7', '22:00', '24:00-07:00', '07:00-07:00', '22:00-07:60']) {
      expect(() => parseQuietHours(wrong), wrong).toThrow(/QUIET_HOURS/)
    }
  })
})

describe('trying again', () => {
  test('each failure waits about twice as long as the one before, at most half an hour, never less than a second', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempts, random) => {
          const delayMs = retryDelayMs(attempts, random)
          expect(delayMs).toBeGreaterThanOrEqual(1_000)
          expect(delayMs).toBeLessThanOrEqual(30 * 60_000)
          expect(retryDelayMs(attempts + 1, random)).toBeGreaterThanOrEqual(delayMs)
        },
      ),
    )
    expect([1, 2, 3, 4].map((attempts) => retryDelayMs(attempts, 1))).toEqual([2_000, 4_000, 8_000, 16_000])
    expect(retryDelayMs(3, 0)).toBe(4_000)
  })

  test('an address that is not known is looked for every second at first and every minute later', () => {
    expect([0, 5_000, 3_600_000].map(addressDelayMs)).toEqual([1_000, 5_000, 60_000])
  })
})

describe('a mail server that fails', () => {
  const at = (seconds: number): Date => new Date(now.getTime() + seconds * 1_000)

  test('is left alone after three failures in a row, longer after each probe that failed', () => {
    const circuit = new Circuit()
    circuit.failed(at(0))
    circuit.failed(at(0))
    circuit.succeeded()
    circuit.failed(at(0))
    circuit.failed(at(0))
    expect(circuit.state(at(0))).toBe('closed')
    circuit.failed(at(0))
    expect(circuit.state(at(9))).toBe('open')
    expect(circuit.enter(at(10))).toBe(true)
    // One probe at a time.
    expect(circuit.enter(at(10))).toBe(false)
    circuit.failed(at(11))
    expect(circuit.state(at(30))).toBe('open')
    expect(circuit.enter(at(31))).toBe(true)
    circuit.succeeded()
    expect(circuit.state(at(31))).toBe('closed')
  })

  test('is asked again within five minutes, however long it has been down', () => {
    const circuit = new Circuit()
    for (let failures = 0; failures < 3; failures += 1) circuit.failed(at(0))
    let seconds = 0
    for (let probes = 0; probes < 20; probes += 1) {
      seconds += 300
      expect(circuit.enter(at(seconds))).toBe(true)
      circuit.failed(at(seconds))
    }
  })
})

describe('what people read', () => {
  test('money has the digits of its currency', () => {
    expect(formatMoney({ amount: 123_456, currency: 'EUR' }, 'de')).toBe('1.234,56\u{a0}€')
    expect(formatMoney({ amount: 500, currency: 'JPY' }, 'en')).toBe('¥500')
    expect(formatMoney({ amount: 1_500, currency: 'KWD' }, 'en')).toBe('KWD\u{a0}1.500')
    expect(formatMoney({ amount: 199_050, currency: 'HUF' }, 'en')).toBe('HUF\u{a0}1,990.50')
  })

  test('no mail promises more time than there is', () => {
    const left = (seconds: number, language = 'en'): string =>
      formatTimeLeft(new Date(now.getTime() + seconds * 1_000), now, language)
    expect([600, 599, 61, 5, 86_400, 86_390, 7_300].map((seconds) => left(seconds))).toEqual([
      '10 minutes',
      '10 minutes',
      '1 minute',
      '1 minute',
      '24 hours',
      '24 hours',
      '2 hours',
    ])
    expect(left(600, 'de')).toBe('10 Minuten')
  })
})
