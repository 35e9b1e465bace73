import { crc32, deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { render } from '../src/render.ts'

const EDGE = 64
const asked = { sizes: { small: 16 }, fit: 'square' } as const
const text = 'A'.repeat(7_900_000)

test('texts in a PNG that would unpack to hundreds of megabytes are never unpacked', async () => {
  const packed = Buffer.concat([Buffer.from('name\0\0'), deflateSync(text)])
  const file = png(Array.from({ length: 40 }, () => chunk('zTXt', packed)))
  expect(file.length).toBeLessThan(400_000)
  await render(png([]), asked)
  const before = process.resourceUsage().maxRSS
  expect((await render(file, asked)).width).toBe(16)
  expect(process.resourceUsage().maxRSS - before).toBeLessThan(100_000)
})

test('a JPEG of more scans than any program writes is refused before it is decoded', async () => {
  expect((await render(progressive(100), asked)).width).toBe(16)
  await expect(render(progressive(101), asked)).rejects.toMatchObject({ refused: 'scans' })
})

test('a WebP of more frames than anybody looks at is refused before it is decoded', async () => {
  const square = sharp({ create: { width: EDGE, height: EDGE, channels: 3, background: 'grey' } })
  const frame = (await square.webp().toBuffer()).subarray(12)
  expect((await render(animated(frame, 1_000), asked)).width).toBe(16)
  await expect(render(animated(frame, 1_001), asked)).rejects.toMatchObject({ refused: 'frames' })
})

test('a picture of few pixels that is far too wide or high is refused before it is decoded', async () => {
  const drawn = async (width: number, height: number) =>
    await sharp({ create: { width, height, channels: 3, background: 'grey' } })
      .png()
      .toBuffer()
  expect((await render(await drawn(16_384, 1), asked)).width).toBe(16)
  await expect(render(await drawn(16_385, 1), asked)).rejects.toMatchObject({ refused: 'edge' })
  await expect(render(await drawn(1, 16_385), asked)).rejects.toMatchObject({ refused: 'edge' })
})

test('a PNG that says what is not so is refused, and one with more behind its end is the picture before that', async () => {
  const sound = png([])
  expect((await render(Buffer.concat([sound, Buffer.alloc(100_000, 'x')]), asked)).width).toBe(16)
  const endless = Buffer.from(sound)
  endless.writeUInt32BE(0xff_ff_ff_ff, 8)
  for (const file of [endless, sound.subarray(0, 9), sound.subarray(0, 40)]) {
    await expect(render(file, asked)).rejects.toMatchObject({ refused: 'damaged' })
  }
})

test('a picture that lacks its last byte is refused, and a PNG whose end is not whole', async () => {
  const square = sharp({ create: { width: EDGE, height: EDGE, channels: 3, background: 'grey' } })
  for (const whole of [
    png([]),
    await square.png().toBuffer(),
    await square.jpeg().toBuffer(),
    await square.webp().toBuffer(),
    await square.gif().toBuffer(),
  ]) {
    expect((await render(whole, asked)).width).toBe(16)
    await expect(render(whole.subarray(0, -1), asked)).rejects.toMatchObject({ refused: 'damaged' })
  }
  const sound = png([])
  const falsified = Buffer.from(sound)
  falsified[falsified.length - 1] = 0
  const rests = Array.from({ length: 12 }, (_, cut) => sound.subarray(0, -1 - cut))
  for (const file of [
    ...rests,
    falsified,
    Buffer.concat([sound.subarray(0, -12), chunk('IEND', Buffer.from('more'))]),
  ]) {
    await expect(render(file, asked)).rejects.toMatchObject({ refused: 'damaged' })
  }
})

test.each(['gif', 'webp'] as const)(
  'a moving picture, %s, that ends early is refused wherever it ends, and more behind its end is no harm',
  async (format) => {
    const frames = Array.from({ length: 3 }, (_, index) => Buffer.alloc(EDGE * EDGE * 3, index * 100))
    const drawn = sharp(Buffer.concat(frames), {
      raw: { width: EDGE, height: 3 * EDGE, channels: 3, pageHeight: EDGE },
    })
    const whole = await drawn[format]({ loop: 0, delay: [100, 100, 100] }).toBuffer()
    expect((await sharp(whole, { animated: true }).metadata()).pages).toBe(3)
    for (const file of [whole, Buffer.concat([whole, Buffer.alloc(1_000, 'x')])]) {
      expect((await render(file, asked)).width).toBe(16)
    }
    for (let length = 12; length < whole.length; length += 1) {
      await expect(render(whole.subarray(0, length), asked), `${length}`).rejects.toMatchObject({ refused: 'damaged' })
    }
  },
)

/** A grey square with more chunks before its pixels. */
function png(chunks: readonly Buffer[]): Buffer {
  const header = Buffer.from([0, 0, 0, EDGE, 0, 0, 0, EDGE, 8, 0, 0, 0, 0])
  const pixels = deflateSync(Buffer.alloc(EDGE * (EDGE + 1)))
  const parts = [chunk('IHDR', header), ...chunks, chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...parts])
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  checksum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, checksum])
}

/** A WebP that shows the same frame again and again. */
function animated(frame: Buffer, count: number): Buffer {
  const riff = (type: string, data: Buffer): Buffer => {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(data.length)
    return Buffer.concat([Buffer.from(type), length, data])
  }
  const last = EDGE - 1
  const shown = riff(
    'ANMF',
    Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 0, last, 0, 0, last, 0, 0, 10, 0, 0, 0]), frame]),
  )
  const header = riff('VP8X', Buffer.from([2, 0, 0, 0, last, 0, 0, last, 0, 0]))
  const frames = Array.from({ length: count }, () => shown)
  return riff('RIFF', Buffer.concat([Buffer.from('WEBP'), header, riff('ANIM', Buffer.alloc(6)), ...frames]))
}

/** A grey square in so many scans; all but the first say of each block that nothing follows. */
function progressive(scans: number): Buffer {
  const segment = (marker: number, data: readonly number[]): Buffer =>
    Buffer.from([0xff, marker, 0, data.length + 2, ...data])
  const table = (kind: number): Buffer => segment(0xc4, [kind, 1, ...Array.from({ length: 15 }, () => 0), 0])
  const blocks = Buffer.alloc(EDGE / 8)
  const scan = (index: number): Buffer[] => {
    const coefficient = index === 0 ? 0 : 1 + ((index - 1) % 63)
    return [segment(0xda, [1, 1, 0, coefficient, coefficient, 0]), blocks]
  }
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    segment(0xdb, [0, ...Array.from({ length: 64 }, () => 1)]),
    segment(0xc2, [8, 0, EDGE, 0, EDGE, 1, 1, 0x11, 0]),
    table(0x00),
    table(0x10),
    ...Array.from({ length: scans }, (_, index) => scan(index)).flat(),
    Buffer.from([0xff, 0xd9]),
  ])
}
