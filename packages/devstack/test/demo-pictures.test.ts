import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drawDemoPicture } from '../src/dev/demo-pictures.ts'
import { demoProducts } from '../src/dev/demo-products.ts'

// Test files of one process share libvips, and what decodes the pictures of strangers opens no drawings in it.
const drawings = { operation: ['VipsForeignLoadSvg'] }
beforeAll(() => sharp.unblock(drawings))
afterAll(() => sharp.block(drawings))

test('each demo product has a picture of its own', async () => {
  const pictures = await Promise.all(demoProducts.map(async ({ name }) => await drawDemoPicture(name)))
  for (const picture of pictures) expect(await sharp(picture).metadata()).toMatchObject({ width: 800, height: 800 })
  expect(new Set(pictures.map((picture) => picture.toString('base64'))).size).toBe(demoProducts.length)
})
