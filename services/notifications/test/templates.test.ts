import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { languages, mailKinds } from '@saas/contracts'
import { previewPage } from '../src/preview-page.ts'
import { previews } from '../src/preview.ts'
import { TEMPLATES, Templates } from '../src/templates.ts'
import { viewOf } from '../src/view.ts'
import { decodeMail } from './smtp-sink.ts'

const templates = new Templates()
const shop = { name: 'The Shop', url: 'https://shop.example' }
const now = new Date('2026-01-01T12:00:00.000Z')
const all = previews(shop)
const order = {
  orderId: '01977c1e-6a00-7000-8000-0000abcdef12',
  lines: [
    {
      productId: '01977c1e-6a00-7000-8000-000000000010',
      sku: 'TEA-1',
      name: 'Green <b>tea</b> & "more"',
      quantity: 3,
      unitPrice: { amount: 490, currency: 'EUR' },
      priceVersion: 1,
    },
  ],
  total: { amount: 1470, currency: 'EUR' },
}

function orderView(language: string, total = order.total, name = 'Ada') {
  const recipient = { email: 'ada@example.com', name, language }
  const content = { kind: 'order-confirmed', facts: { ...order, total } } as const
  const occasion = { content, recipient, language, zone: undefined, secret: undefined, expiresAt: undefined }
  return viewOf(occasion, shop, now)
}

test('every kind of mail can be read in every language', () => {
  expect(templates.languages).toEqual(languages.toSorted())
  expect(all).toHaveLength(mailKinds.length * templates.languages.length)
  expect(new Set(all.map(({ html }) => html)).size).toBe(all.length)
})

describe.each(all.map((preview) => [`${preview.language}/${preview.kind}`, preview] as const))('%s', (_, preview) => {
  const { language, subject, html, text } = preview

  test('says everything in subject, HTML and text', () => {
    expect(subject).toMatch(/^\S.{5,70}$/)
    expect(text.length).toBeGreaterThan(100)
    expect(html).toContain(`<html lang="${language}"`)
    for (const part of [subject, html, text]) expect(part).not.toMatch(/\{\{|\{%|undefined|\[object|NaN/)
  })

  test('is plain HTML of a size that no client cuts, without anything from elsewhere', () => {
    expect(Buffer.byteLength(html)).toBeLessThan(100_000)
    expect(html).toContain('max-width:600px')
    expect(html).toContain('name="color-scheme" content="light dark"')
    expect(html).not.toMatch(/<(img|script|link|iframe|form|svg)\b/i)
    for (const [, link] of html.matchAll(/href="([^"]*)"/g)) expect(link).toMatch(/^https:\/\/shop\.example(\/|$)/)
  })
})

test('the preview page shows every mail in every language, as a phone and a desk show it, without scripts', () => {
  const page = previewPage(all)
  const frames = Array.from(page.matchAll(/<iframe sandbox width="(\d+)" title="([^,]+),/g), ([, width, title]) => [
    title,
    width,
  ])
  expect(frames).toEqual(
    all.flatMap(({ kind, language }) => ['375', '720'].map((width) => [`${language}/${kind}`, width])),
  )
  expect(page).not.toMatch(/<script|<iframe(?! sandbox )/)
})

describe('what a template is given', () => {
  test('a value that is missing is an error, not a gap', () => {
    for (const { kind, language } of all) {
      expect(() => templates.render(kind, language, {}), `${language}/${kind}`).toThrow(/undefined variable/)
    }
    const { total: _, ...withoutTotal } = orderView('en')['order' as never] as Record<string, unknown>
    expect(() => templates.render('order-confirmed', 'en', { ...orderView('en'), order: withoutTotal })).toThrow(
      /total/,
    )
  })

  test('a name cannot become markup, a header line or a second line of text', () => {
    const { html, text } = templates.render('order-confirmed', 'en', orderView('en', undefined, 'A\r\nB <i>'))
    expect(html).toContain('Thank you, A B &lt;i&gt;!')
    expect(html).toContain('Green &lt;b&gt;tea&lt;/b&gt; &amp; &#34;more&#34;')
    expect(text).toContain('Thank you, A B <i>!')
    expect(text).toContain('3 × Green <b>tea</b> & "more" (€4.90): €14.70')
  })

  test('a mail is made however long the machine has no time for it', () => {
    let nowMs = 0
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => (nowMs += 60_000))
    onTestFinished(() => clock.mockRestore())
    expect(templates.render('order-confirmed', 'en', orderView('en')).text).toContain('Total: €14.70')
  })

  test('a subject that is too long ends with a whole character', () => {
    const { subject } = templates.render('announcement', 'en', {
      ...orderView('en'),
      title: `!${'😀'.repeat(150)}`,
      paragraphs: ['It is time.'],
    })
    expect(subject).toBe(`!${'😀'.repeat(99)}`)
  })

  test('a template cannot reach what it is not given', () => {
    expect(() => templates.render('password-changed', 'en', Object.create(orderView('en')))).toThrow(
      /undefined variable/,
    )
  })

  test('money and time are written as the language does', () => {
    expect(templates.render('order-confirmed', 'de', orderView('de')).text).toContain('Summe: 14,70\u{a0}€')
    expect(
      templates.render('order-confirmed', 'en', orderView('en', { amount: 1500, currency: 'JPY' })).text,
    ).toContain('Total: ¥1,500')
    expect(all.find(({ kind, language }) => kind === 'new-sign-in' && language === 'de')?.text).toContain(
      '1. Januar 2026 um 13:00 MEZ',
    )
  })

  test.each([
    ['en', 'change it now', 'Address: 203.0.113.7'],
    ['de', 'Ändere es jetzt', 'Adresse: 203.0.113.7'],
  ])('whose password somebody knows reads when and from where, and where to change it (%s)', (wanted, advice, from) => {
    const mail = all.find(({ kind, language }) => kind === 'second-factor-failed' && language === wanted)
    for (const part of [advice, from, 'Firefox on Linux', '13:00', 'https://shop.example/account']) {
      expect(mail?.text).toContain(part)
    }
  })

  test('an order is named by its short and its whole id, with a link', () => {
    const { subject, html, text } = templates.render('order-confirmed', 'en', orderView('en'))
    expect(subject).toBe('Your order ABCDEF12 is confirmed')
    for (const part of [html, text]) {
      expect(part).toContain(order.orderId)
      expect(part).toContain(`https://shop.example/my/orders/${order.orderId}`)
    }
  })

  test('a mail that comes after its code expired shows the link and no code', () => {
    const recipient = { email: 'ada@example.com', name: 'Ada', language: 'en' }
    const secret = { code: '426913', link: 'https://shop.example/verify#token=x' }
    const content = { kind: 'verify-address', facts: { codeExpiresAt: now.toISOString() } } as const
    const expiresAt = new Date(now.getTime() + 3 * 3_600_000)
    const view = viewOf({ content, recipient, language: 'en', zone: undefined, secret, expiresAt }, shop, now)
    const { html, text } = templates.render('verify-address', 'en', view)
    for (const part of [html, text]) {
      expect(part).not.toContain('426913')
      expect(part).toContain('https://shop.example/verify#token=x')
      expect(part).toMatch(/works for 3 hours/)
    }
  })

  test.each([
    ['totp', ['added', 'removed', 'renewed']],
    ['passkey', ['added', 'removed']],
    ['recovery-codes', ['renewed', 'used', 'removed']],
    ['identity', ['added', 'removed']],
  ] as const)('each change of a way to sign in (%s) has a sentence of its own', (factor, changes) => {
    for (const language of templates.languages) {
      const sentences = changes.map((change) => {
        const recipient = { email: 'ada@example.com', name: 'Ada', language }
        const facts = { factor, change, label: 'My phone', changedAt: now.toISOString() }
        const content = { kind: 'factor-changed', facts } as const
        const occasion = { content, recipient, language, zone: undefined, secret: undefined, expiresAt: undefined }
        const view = viewOf(occasion, shop, now)
        const { text } = templates.render('factor-changed', language, view)
        return text.split('\n\n')[1] ?? ''
      })
      expect(new Set(sentences).size).toBe(changes.length)
      for (const sentence of sentences) expect(sentence.length).toBeGreaterThan(60)
    }
  })

  test('whoever reads a language that is not there gets the whole mail in the nearest one that is', () => {
    const content = { kind: 'order-confirmed', facts: order } as const
    const chosen = ['de', 'de-AT', 'DE-ch', 'fr', 'en-GB'].map((wanted) => templates.languageOf(content, wanted))
    expect(chosen).toEqual(['de', 'de', 'de', 'en', 'en'])
  })

  test('an announcement comes in the language it was written in, not half in that of its reader', () => {
    const facts = { en: { title: 'Sale', text: 'It begins.' } }
    const content = { kind: 'announcement', facts } as const
    const recipient = { email: 'ada@example.com', name: 'Ada', language: 'de' }
    const language = templates.languageOf(content, recipient.language)
    expect(language).toBe('en')
    const occasion = { content, recipient, language, zone: undefined, secret: undefined, expiresAt: undefined }
    const view = viewOf({ ...occasion, unsubscribeToken: 'x' }, shop, now)
    expect(templates.render('announcement', language, view).text).toContain('It begins.')
    const both = { kind: 'announcement', facts: { ...facts, de: { title: 'Verkauf', text: 'Er beginnt.' } } } as const
    expect(templates.languageOf(both, 'de')).toBe('de')
  })
})

test('what is sent is what the preview page shows, byte for byte', () => {
  const sent = previews(shop, new Templates({ isEncoded: true }))
  for (const [index, { kind, language, subject, html, text }] of all.entries()) {
    const encoded = sent[index]
    const bodies = [encoded?.html, encoded?.text].map((body = '') => decodeMail(body).replaceAll('\r\n', '\n').trim())
    expect([kind, language, encoded?.subject, ...bodies]).toEqual([kind, language, subject, html.trim(), text.trim()])
  }
})

describe('a folder of templates', () => {
  test('has the same files as every other, and each names the same values', async () => {
    const [english = [], ...others] = await Promise.all(languages.map(namesByFile))
    for (const other of others) expect(other).toEqual(english)
  })

  test('that lacks one of them keeps the service from starting, which says which', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'templates-'))
    try {
      await cp(TEMPLATES, directory, { recursive: true })
      await rm(join(directory, 'de/digest.txt'))
      expect(() => new Templates({ directory })).toThrow(/de\/digest\.txt/)
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})

/** Each file with the names of values, filters and tags in it; the words between quotes are what a language is free in. */
async function namesByFile(language: string): Promise<[string, string[]][]> {
  const files = (await readdir(join(TEMPLATES, language))).toSorted()
  return await Promise.all(
    files.map(async (file): Promise<[string, string[]]> => {
      const text = await readFile(join(TEMPLATES, language, file), 'utf8')
      const markup = [...text.matchAll(/\{[{%](.*?)[%}]\}/gs)].map(([, inside = '']) =>
        inside.replaceAll(/'[^']*'|"[^"]*"/g, ''),
      )
      const names = markup.flatMap((inside) => inside.match(/[a-z]\w*(?:\.\w+)*/gi) ?? [])
      return [file, [...new Set(names)].toSorted()]
    }),
  )
}
