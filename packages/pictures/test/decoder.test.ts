import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { PassThrough, Readable } from 'node:stream'
import { eventually } from '@saas/testing'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { picturesIn } from '../src/answer.ts'
import { PictureDecoder } from '../src/index.ts'

const asked = { sizes: { small: 16 }, fit: 'square' } as const
const MEMORY_MAX_MIB = 64

const decoder = new PictureDecoder({ memoryMaxMiB: MEMORY_MAX_MIB })
let small: Buffer
/** Must be decoded as a whole before any of it can be made smaller: 100 MB, and a second. */
let demanding: Buffer
beforeAll(async () => {
  const drawn = (edge: number) => sharp({ create: { width: edge, height: edge, channels: 4, background: 'grey' } })
  small = await drawn(64).png().toBuffer()
  demanding = await drawn(3_500).toColourspace('rgb16').png({ progressive: true }).toBuffer()
})
afterAll(async () => {
  await decoder[Symbol.asyncDispose]()
})

const isRunning = (pid: number | undefined) => existsSync(`/proc/${pid}`)

test('a picture that takes more memory than it may is refused with its decoder, and the service keeps its own', async () => {
  const before = process.resourceUsage().maxRSS
  await expect(decoder.render(demanding, asked)).rejects.toMatchObject({
    problem: { name: 'image-not-accepted' },
    detail: expect.stringContaining('too much memory'),
  })
  expect(process.resourceUsage().maxRSS - before).toBeLessThan(30_000)
  expect((await decoder.render(small, asked)).width).toBe(16)
})

test('a picture that takes more time than it may is refused with its decoder', async () => {
  await using hurried = new PictureDecoder({ timeMaxMs: 100 })
  const rendered = hurried.render(demanding, asked)
  await expect(rendered).rejects.toMatchObject({
    problem: { name: 'image-not-accepted' },
    detail: 'The picture takes too long to decode. Save it with fewer pixels.',
  })
})

test('pictures that arrive at once are held within a bound, and who is refused may come again', async () => {
  await using crowded = new PictureDecoder({ heldBytesMax: 2 * small.length })
  const uploads = Array.from({ length: 3 }, () => new PassThrough())
  const outcomes = uploads.map(async (upload) => await crowded.renderUpload(upload, asked))
  const settled = Promise.allSettled(outcomes)
  for (const upload of uploads) upload.write(small)
  await expect(outcomes[2]).rejects.toMatchObject({ problem: { status: 503 }, headers: { 'retry-after': '1' } })
  for (const upload of uploads) upload.end()
  expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
  const cutOff = new PassThrough()
  const unfinished = crowded.renderUpload(cutOff, asked)
  cutOff.write(small)
  cutOff.destroy(new Error('The client went away'))
  await expect(unfinished).rejects.toThrow('went away')
  for (const _ of uploads) expect((await crowded.renderUpload(Readable.from([small]), asked)).width).toBe(16)
})

test('a picture whose decoder dies is refused, and those that wait get another decoder', async () => {
  await decoder.render(small, asked)
  const { pid } = decoder
  const [unlucky, waiting] = [decoder.render(demanding, asked), decoder.render(small, asked)]
  process.kill(pid ?? Number.NaN, 'SIGSEGV')
  await expect(unlucky).rejects.toMatchObject({
    problem: { name: 'image-not-accepted' },
    detail: 'The picture cannot be decoded.',
    cause: 'The decoder was ended by SIGSEGV',
  })
  expect((await waiting).width).toBe(16)
  expect(decoder.pid).not.toBe(pid)
})

test('a decoder that dies while nobody asks refuses nobody', async () => {
  await decoder.render(small, asked)
  const { pid } = decoder
  process.kill(pid ?? Number.NaN, 'SIGKILL')
  await eventually(() => !isRunning(pid))
  expect((await decoder.render(small, asked)).width).toBe(16)
})

test('a picture that is refused by its header costs no decoder', async () => {
  await decoder.render(small, asked)
  const { pid } = decoder
  await expect(decoder.render(small.subarray(0, 60), asked)).rejects.toMatchObject({
    detail: 'The picture is damaged or cut off.',
  })
  const crop = { left: 10, top: 0, size: 60 }
  await expect(decoder.render(small, { ...asked, crop })).rejects.toMatchObject({
    errors: [{ pointer: '/query/size', detail: 'must be within the picture of 64 by 64 pixels' }],
  })
  await decoder.render(small, asked)
  expect(decoder.pid).toBe(pid)
})

test('pictures come through whole, whatever their length', async () => {
  const sizes = { small: 160, medium: 480, large: 1_200 }
  const noise = Buffer.from(Array.from({ length: 900_000 }, (_, index) => (index * 7_919) % 251))
  const file = await sharp(noise, { raw: { width: 600, height: 500, channels: 3 } })
    .png({ compressionLevel: 0 })
    .toBuffer()
  const { pictures, width, height } = await decoder.render(file, { sizes, fit: 'whole' })
  expect([width, height]).toEqual([600, 500])
  const edges = await Promise.all(
    [...pictures.values()].map(async (picture) => (await sharp(picture).metadata()).width),
  )
  expect([...pictures.keys()]).toEqual(['small', 'medium', 'large'])
  expect(edges).toEqual([160, 480, 600])
})

test('whoever decodes knows no secret of the service', async () => {
  process.env['SECRET_OF_THE_SERVICE'] = 'a secret'
  await using fresh = new PictureDecoder()
  await fresh.render(small, asked)
  delete process.env['SECRET_OF_THE_SERVICE']
  const environment = readFileSync(`/proc/${fresh.pid}/environ`, 'utf8').split('\0').filter(Boolean)
  expect(environment.filter((variable) => !variable.startsWith('NODE_COMPILE_CACHE='))).toEqual([])
})

test('a decoder that nobody needs ends, and so does one that is at work when its service ends', async () => {
  await using idle = new PictureDecoder({ idleMaxMs: 1 })
  await idle.render(small, asked)
  await eventually(() => idle.pid === undefined)
  const busy = new PictureDecoder({ memoryMaxMiB: 1_024 })
  await busy.render(small, asked)
  const { pid } = busy
  const rendered = busy.render(demanding, asked).catch((error: unknown) => error)
  await busy[Symbol.asyncDispose]()
  expect(await rendered).toMatchObject({ cause: 'The decoder was ended by SIGKILL' })
  expect(isRunning(pid)).toBe(false)
})

test('a decoder does not outlive a service that is killed', async () => {
  const program = `import { PictureDecoder } from '@saas/pictures'
    const decoder = new PictureDecoder()
    await decoder.render(Buffer.from('${small.toString('base64')}', 'base64'), ${JSON.stringify(asked)})
    console.log(decoder.pid)
    await decoder.render(Buffer.from('${demanding.toString('base64')}', 'base64'), ${JSON.stringify(asked)})`
  const service = spawn(process.execPath, ['--input-type=module', '-'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: new URL('../../../services/auth', import.meta.url),
  })
  service.stdin.end(program)
  const [pid] = (await once(service.stdout, 'data')) as [Buffer]
  expect(isRunning(Number(pid))).toBe(true)
  service.kill('SIGKILL')
  await eventually(() => !isRunning(Number(pid)))
})

test('an answer that is none to what was asked is not believed', () => {
  const webp = Buffer.from('RIFF\0\0\0\0WEBPVP8 ')
  const said = { sizes: { small: webp.length }, width: 16, height: 16 }
  expect(picturesIn(said, webp, ['small']).pictures.get('small')).toEqual(webp)
  expect(() => picturesIn(said, Buffer.from('<html></html>         '), ['small'])).toThrow('no picture')
  expect(() => picturesIn({ ...said, sizes: {} }, webp, ['small'])).toThrow('no picture')
  expect(() => picturesIn(said, webp, ['small', 'large'])).toThrow('no picture')
  expect(() => picturesIn({ ...said, sizes: { small: -1 } }, webp, ['small'])).toThrow('no picture')
  expect(() => picturesIn({ ...said, width: Number.NaN }, webp, ['small'])).toThrow('no size')
})
