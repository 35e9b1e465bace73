import { authEvents, authRoutes, AVATAR_BYTES_MAX } from '@saas/contracts'
import { eventually, signedIn, testObjectStore, testProxy, type TestService } from '@saas/testing'
import sharp, { type Sharp } from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventsTo, newUser, PASSWORD, startedAuth, type SignedInUser } from './fixtures.ts'

let auth: TestService
let user: SignedInUser
beforeAll(async () => {
  auth = await startedAuth()
  user = await newUser(auth, 'ada@example.com')
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

test('the owner reads and changes name, language and zone, and others hear of it', async () => {
  const body = { name: 'Ada King', language: 'de', zone: 'Europe/Berlin' } as const
  const answer = await auth.call(authRoutes.changeProfile, { body, as: user.as })
  expect(answer).toMatchObject({ status: 200, body })
  expect((await auth.call(authRoutes.getProfile, { as: user.as })).body).toMatchObject({
    ...body,
    email: 'ada@example.com',
  })
  const changes = await eventsTo(auth, authEvents.userChanged, 'ada@example.com')
  expect(changes.at(-1)?.data).toMatchObject(body)
  const cleared = await auth.call(authRoutes.changeProfile, { body: { zone: null }, as: user.as })
  expect(cleared.body).toMatchObject({ name: 'Ada King', zone: null })
})

test.each([
  ['of which nothing shows', { name: '\u200b\u2800\u3164' }, '/name'],
  ['that turns the text around it', { name: 'Ada \u202egnp.exe' }, '/name'],
  // U+FB2C is three characters in the normal form in which names are kept.
  [
    'too long for every event about its owner, once it is in the form it is kept in',
    { name: '\ufb2c'.repeat(34) },
    '/name',
  ],
  ['of a zone that is an offset', { zone: '+0100' }, '/zone'],
  ['of a zone that nobody knows', { zone: 'Europe/Atlantis' }, '/zone'],
])('a name %s is refused, at registration and in the profile', async (_, part, pointer) => {
  const email = `${crypto.randomUUID()}@example.com`
  const answers = [
    await auth.call(authRoutes.changeProfile, { body: part, as: user.as }),
    await auth.call(authRoutes.register, { body: { email, password: PASSWORD, name: 'Ada', ...part } }),
  ]
  for (const answer of answers) expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer }] } })
})

test.each([['אדה'], ['👩‍💻'], ['نرگس\u200cسادات'], ['\ufb2c'.repeat(33)], ['é'.normalize('NFD').repeat(50)]])(
  'a name in any script is taken: %s',
  async (name) => {
    const answer = await auth.call(authRoutes.changeProfile, { body: { name }, as: user.as })
    expect(answer).toMatchObject({ status: 200, body: { name: name.normalize('NFC') } })
  },
)

describe('the profile picture', () => {
  const put = async (
    picture: Buffer,
    type = 'image/png',
    as = user.as,
    query = '',
  ): Promise<{ status: number; body: Picture }> => {
    const response = await auth.app.inject({
      method: 'PUT',
      url: `/profile/avatar${query}`,
      headers: { ...signedIn(authRoutes.putAvatar, { ...as, now: auth.clock.now() }), 'content-type': type },
      payload: picture,
    })
    auth.clock.advance(10_000)
    return { status: response.statusCode, body: response.json() }
  }
  const drawn = (width = 300, height = 200): Sharp =>
    sharp({ create: { width, height, channels: 3, background: '#c04080' } })

  test.each([
    ['PNG', (source: Sharp) => source.png()],
    ['JPEG', (source: Sharp) => source.jpeg()],
    ['WebP', (source: Sharp) => source.webp()],
    ['GIF', (source: Sharp) => source.gif()],
  ])('is taken as %s whatever it says it is, and comes back square in three sizes', async (_, encode) => {
    const answer = await put(await encode(drawn()).toBuffer(), 'application/octet-stream')
    expect(answer.status).toBe(200)
    for (const [size, edge] of [
      ['small', 64],
      ['medium', 192],
      ['large', 512],
    ] as const) {
      const response = await auth.app.inject({ method: 'GET', url: answer.body.avatar?.[size] ?? '' })
      expect(response.headers).toMatchObject({
        'content-type': 'image/webp',
        'cache-control': 'public, max-age=31536000, immutable',
        'x-content-type-options': 'nosniff',
      })
      const { format, width, height } = await sharp(response.rawPayload).metadata()
      expect([format, width, height]).toEqual(['webp', edge, edge])
    }
  })

  test('loses its metadata and is turned the way its metadata said', async () => {
    const picture = await sharp({ create: { width: 200, height: 100, channels: 3, background: 'white' } })
      .composite([
        { input: { create: { width: 100, height: 100, channels: 3, background: 'black' } }, left: 0, top: 0 },
      ])
      .withExif({ IFD0: { Copyright: 'find me', Orientation: '6' } })
      .jpeg()
      .toBuffer()
    const { body } = await put(picture, 'image/jpeg')
    const { rawPayload } = await auth.app.inject({ method: 'GET', url: body.avatar?.large ?? '' })
    expect(rawPayload.includes('find me')).toBe(false)
    const { exif, icc, xmp } = await sharp(rawPayload).metadata()
    expect([exif, icc, xmp]).toEqual([undefined, undefined, undefined])
  })

  const pixelOf = async (body: Picture, x: number, y: number): Promise<number[]> => {
    const { rawPayload } = await auth.app.inject({ method: 'GET', url: body.avatar?.large ?? '' })
    const { data, info } = await sharp(rawPayload).raw().toBuffer({ resolveWithObject: true })
    return [...data.subarray((y * info.width + x) * info.channels).subarray(0, 3)]
  }
  /** Black on the left, white on the right, and above all of it what Exif says about how it was held. */
  const halves = async (orientation = 1): Promise<Buffer> =>
    await sharp({ create: { width: 200, height: 100, channels: 3, background: 'white' } })
      .composite([
        { input: { create: { width: 100, height: 100, channels: 3, background: 'black' } }, left: 0, top: 0 },
      ])
      .withMetadata({ orientation })
      .jpeg()
      .toBuffer()

  test('is the square that was asked for, in pixels of the upright picture', async () => {
    const right = await put(await halves(), 'image/jpeg', user.as, '?left=100&top=0&size=100')
    expect(await pixelOf(right.body, 256, 256)).toEqual([255, 255, 255])
    const left = await put(await halves(), 'image/jpeg', user.as, '?left=0&top=0&size=90')
    expect(await pixelOf(left.body, 256, 256)).toEqual([0, 0, 0])
    // Turned a quarter, the white half is below the black one.
    const below = await put(await halves(6), 'image/jpeg', user.as, '?left=0&top=100&size=100')
    expect([below.status, await pixelOf(below.body, 256, 256)]).toEqual([200, [255, 255, 255]])
  })

  test.each(['?left=101&top=0&size=100', '?left=0&top=1&size=100', '?left=0&top=0&size=201'])(
    'is refused with a square that is not within it: %s',
    async (query) => {
      const { body } = await put(await halves(), 'image/jpeg', user.as, query)
      expect(body).toMatchObject({ type: '/problems/invalid-request', errors: [{ pointer: '/query/size' }] })
    },
  )

  test('of an animated GIF is its first frame', async () => {
    const frame = (background: string): Sharp => sharp({ create: { width: 64, height: 64, channels: 3, background } })
    const frames = await Promise.all(['#ff0000', '#0000ff'].map(async (colour) => await frame(colour).png().toBuffer()))
    const animated = await sharp(frames, { join: { animated: true } })
      .gif({ delay: [100, 100] })
      .toBuffer()
    expect((await sharp(animated, { animated: true }).metadata()).pages).toBe(2)
    const { body } = await put(animated, 'image/gif')
    const [red = 0, , blue = 255] = await pixelOf(body, 256, 256)
    expect([red > 200, blue < 50]).toEqual([true, true])
  })

  test('keeps nothing of what hides in the file behind the picture', async () => {
    const hidden = '<script>alert(1)</script>'
    const polyglot = Buffer.concat([await drawn().jpeg().toBuffer(), Buffer.from(`PK\u0003\u0004${hidden}`)])
    const { status, body } = await put(polyglot, 'image/jpeg')
    expect(status).toBe(200)
    for (const url of Object.values(body.avatar ?? {})) {
      expect((await auth.app.inject({ method: 'GET', url })).rawPayload.includes(hidden)).toBe(false)
    }
  })

  test('replaces the old one, whose objects are deleted', async () => {
    const someone = await newUser(auth)
    const first = await put(await drawn().png().toBuffer(), 'image/png', someone.as)
    const second = await put(await drawn(10, 10).png().toBuffer(), 'image/png', someone.as)
    expect(second.body.avatar?.small).not.toBe(first.body.avatar?.small)
    expect((await auth.app.inject({ method: 'GET', url: first.body.avatar?.small ?? '' })).statusCode).toBe(404)
    const removed = await auth.call(authRoutes.deleteAvatar, { as: someone.as })
    expect(removed.body.avatar).toBeNull()
    expect((await auth.app.inject({ method: 'GET', url: second.body.avatar?.small ?? '' })).statusCode).toBe(404)
  })

  test.each([
    ['SVG', () => Promise.resolve(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'))],
    ['text', () => Promise.resolve(Buffer.from('hello, this is no picture'))],
    ['nothing', () => Promise.resolve(Buffer.alloc(0))],
    ['TIFF', () => drawn().tiff().toBuffer()],
    ['a PNG that ends early', async () => (await noise().png().toBuffer()).subarray(0, 20_000)],
    ['a JPEG that ends early', async () => (await noise().jpeg().toBuffer()).subarray(0, 20_000)],
    [
      'a GIF header with nothing behind',
      () => Promise.resolve(Buffer.from('GIF89a\x01\x00\x01\x00\x00\x00', 'latin1')),
    ],
    ['an SVG behind the first bytes of a PNG', () => Promise.resolve(Buffer.from('\x89PNG\r\n\x1a\n<svg/>', 'latin1'))],
    ['25 million pixels', () => drawn(5_000, 5_000).png().toBuffer()],
  ])('is refused when it is %s, and the old one stays', async (_, make) => {
    const someone = await newUser(auth)
    const before = await put(await drawn().png().toBuffer(), 'image/png', someone.as)
    const answer = await put(await make(), 'image/png', someone.as)
    expect([answer.status, answer.body.type]).toEqual([422, '/problems/image-not-accepted'])
    const profile = await auth.call(authRoutes.getProfile, { as: someone.as })
    expect(profile.body.avatar).toEqual(before.body.avatar)
  })

  test('of more than 2 MB, or of another media type, is refused', async () => {
    expect((await put(Buffer.alloc(AVATAR_BYTES_MAX + 1, 1))).status).toBe(413)
    expect((await put(await drawn().png().toBuffer(), 'image/svg+xml')).status).toBe(415)
  })

  test('fails without an object store, and nothing else does', async () => {
    await using storeless = await startedAuth({ s3Endpoint: 'http://127.0.0.1:9' })
    const { as } = await newUser(storeless)
    expect((await fetch(`${storeless.opsUrl}/readyz`)).status).toBe(200)
    const refused = await storeless.app.inject({
      method: 'PUT',
      url: '/profile/avatar',
      headers: {
        ...signedIn(authRoutes.putAvatar, { ...as, now: storeless.clock.now() }),
        'content-type': 'image/png',
      },
      payload: await drawn().png().toBuffer(),
    })
    expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, expect.any(String)])
  })

  test('stays when the store fails on the way, and what was stored of the new one is collected', async () => {
    const someone = await newUser(auth)
    const before = await put(await drawn().png().toBuffer(), 'image/png', someone.as)
    const stored = (await auth.objects.keys()).length
    // The objects are stored, then the account cannot be written.
    await auth.database.query('alter table account rename column avatar_key to avatar_key_away')
    expect((await put(await drawn().png().toBuffer(), 'image/png', someone.as)).status).toBe(500)
    await auth.database.query('alter table account rename column avatar_key_away to avatar_key')
    expect((await auth.call(authRoutes.getProfile, { as: someone.as })).body.avatar).toEqual(before.body.avatar)
    expect(await auth.objects.keys()).toHaveLength(stored + 3)
    await eventually(async () => {
      auth.clock.advance(3_600_000)
      return (await auth.objects.keys()).length === stored
    })
    expect((await auth.app.inject({ method: 'GET', url: before.body.avatar?.large ?? '' })).statusCode).toBe(200)
  })
})

test('the old picture stays when the store goes away between two sizes, and what was stored is collected', async () => {
  await using objects = await testObjectStore()
  await using wire = await testProxy(objects.s3Endpoint)
  await using far = await startedAuth({ s3Endpoint: wire.url.replace(/\/$/, '') }, { objects })
  const someone = await newUser(far)
  const put = async (background: string): Promise<number> => {
    const headers = signedIn(authRoutes.putAvatar, { ...someone.as, now: far.clock.now() })
    const payload = await sharp({ create: { width: 90, height: 90, channels: 3, background } })
      .png()
      .toBuffer()
    const url = '/profile/avatar'
    return (await far.app.inject({ method: 'PUT', url, headers: { ...headers, 'content-type': 'image/png' }, payload }))
      .statusCode
  }
  expect(await put('white')).toBe(200)
  const before = (await objects.keys()).toSorted()
  const { avatar } = (await far.call(authRoutes.getProfile, { as: someone.as })).body
  const loss = wire.loseAnswers(1_000)
  expect(await put('black')).toBe(503)
  expect(loss.lost).toBeGreaterThan(0)
  wire.loseAnswers(0)
  expect((await objects.keys()).length).toBeGreaterThan(before.length)
  expect((await far.call(authRoutes.getProfile, { as: someone.as })).body.avatar).toEqual(avatar)
  await eventually(async () => {
    far.clock.advance(3_600_000)
    return (await objects.keys()).length === before.length
  })
  expect((await objects.keys()).toSorted()).toEqual(before)
  expect(await put('black')).toBe(200)
})

interface Picture {
  readonly type?: string
  readonly avatar: Readonly<Record<'small' | 'medium' | 'large', string>> | null
}

/** A picture that does not compress, so that its middle is somewhere in the file. */
function noise(): Sharp {
  const [width, height] = [300, 300]
  const pixels = Buffer.alloc(width * height * 3)
  for (let at = 0; at < pixels.length; at += 65_536) crypto.getRandomValues(pixels.subarray(at, at + 65_536))
  return sharp(pixels, { raw: { width, height, channels: 3 } })
}
