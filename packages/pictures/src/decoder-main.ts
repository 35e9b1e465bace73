import { readFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { frame, frames } from './frames.ts'
import { render } from './render.ts'
import {
  DECODER_FRAME_BYTES_MAX,
  RefusedCrop,
  RefusedPicture,
  type DecoderAnswer,
  type DecoderTask,
  type Refusal,
} from './rendering.ts'

/** Whoever waits for a page comes before whoever uploads a picture. */
const NICENESS = 10
const MEMORY_READ_EVERY_MS = 5
/** What it may keep of a picture. Beyond that it ends, and the next picture gets a new one. */
const KEPT_MIB_MAX = 64

setPriority(NICENESS)

let isDecoding = false

for await (const { head, body } of frames(process.stdin, DECODER_FRAME_BYTES_MAX))
  void answer(head as DecoderTask, body)
// Whoever started it wants no more, or is gone.
if (isDecoding) die()

/** Decodes one picture within its limits. Native code cannot be stopped in any other way than with the process. */
async function answer({ rendering, timeMaxMs, memoryMaxMiB }: DecoderTask, file: Buffer): Promise<void> {
  isDecoding = true
  const tooLong = setTimeout(() => dieRefusing('time'), timeMaxMs)
  const watch = setInterval(() => {
    if (ownMiB() > memoryMaxMiB) dieRefusing('memory')
  }, MEMORY_READ_EVERY_MS)
  try {
    const { pictures, width, height } = await render(file, rendering)
    const sizes = Object.fromEntries([...pictures].map(([size, picture]) => [size, picture.length]))
    say({ sizes, width, height, isLast: ownMiB() > KEPT_MIB_MAX }, [...pictures.values()])
  } catch (error) {
    if (error instanceof RefusedPicture) say({ refused: error.refused })
    else if (error instanceof RefusedCrop) say({ refusedCrop: { width: error.width, height: error.height } })
    else throw error
  } finally {
    clearTimeout(tooLong)
    clearInterval(watch)
    isDecoding = false
  }
}

/** Memory of this process that is no file's; all of it where the kernel does not tell. */
function ownMiB(): number {
  try {
    const kibibytes = /^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]
    if (kibibytes !== undefined) return Number(kibibytes) / 1_024
  } catch {
    // No Linux.
  }
  return process.memoryUsage.rss() / 1_048_576
}

/** Writes to a pipe return when all is written. */
function say(answered: DecoderAnswer, body: readonly Buffer[] = []): void {
  process.stdout.write(frame(answered, body))
}

function dieRefusing(refused: Refusal): void {
  say({ refused, isLast: true })
  die()
}

/** An orderly exit would wait for the threads that decode. */
function die(): void {
  process.kill(process.pid, 'SIGKILL')
}
