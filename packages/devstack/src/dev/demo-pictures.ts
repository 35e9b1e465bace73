import { join } from 'node:path'
import sharp from 'sharp'

const FOLDER = join(import.meta.dirname, 'demo-pictures')
const DRAWN_PX = 400
/** Sharp where the shop shows one alone, and half the work of the largest that is kept: 24 of them take 1.2 s of two cores. */
const EDGE_PX = 800
/** Of a drawing without a size of its own, whose units are pixels. */
const DENSITY = 72

/** The drawing of a demo product as a PNG: that of `Merino Socks` is `demo-pictures/merino-socks.svg`. */
export async function drawDemoPicture(name: string): Promise<Buffer> {
  const file = join(FOLDER, `${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}.svg`)
  return await sharp(file, { density: (DENSITY * EDGE_PX) / DRAWN_PX })
    .png()
    .toBuffer()
}
