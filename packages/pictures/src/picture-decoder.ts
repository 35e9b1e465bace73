import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { getCompileCacheDir } from 'node:module'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { ProblemError, problems } from '@saas/contracts'
import { Overloaded, Turns } from '@saas/state'
import { picturesIn } from './answer.ts'
import { frame, frames, type Frame } from './frames.ts'
import { readPicture } from './picture.ts'
import {
  DECODER_FRAME_BYTES_MAX,
  refusals,
  type DecoderAnswer,
  type DecoderTask,
  type Refusal,
  type RenderedPicture,
  type Rendering,
} from './rendering.ts'

/** One at a time: what a picture may take is set aside once in the memory limit of the container. */
const AT_ONCE_MAX = 1
const WAITING_MAX = 16
/** Of files that arrive or wait, of everybody together: a queue of the largest avatars, or six of the largest pictures of products. */
const HELD_BYTES_MAX = 48_000_000
const TIME_MAX_MS = 10_000
/** A picture of the largest size takes up to 0.1 GB, the process without one 30 MB. */
const MEMORY_MAX_MIB = 160
const IDLE_MAX_MS = 10_000
/** For what the process needs to start and to end itself. */
const GRACE_MS = 10_000
/** It has nothing but the paths of pictures in its heap. */
const HEAP_MAX_MIB = 64
const COMPLAINT_BYTES_MAX = 2_000

const program = fileURLToPath(new URL('decoder-main.ts', import.meta.url))

/**
 * Decodes pictures in a process of its own, which starts with the first one and ends when none came for a while. It knows
 * no secret: its environment is empty, and no file or connection of the service is open in it. A picture that takes too much
 * time or memory, or that kills the decoder, is refused and takes the process with it, and nobody else's picture.
 */
export class PictureDecoder implements AsyncDisposable {
  readonly #turns = new Turns(AT_ONCE_MAX, WAITING_MAX)
  readonly #limits: { readonly timeMaxMs: number; readonly memoryMaxMiB: number; readonly idleMaxMs: number }
  readonly #heldBytesMax: number
  #heldBytes = 0
  #idle: NodeJS.Timeout | undefined
  #decoder: Decoder | undefined

  constructor({
    timeMaxMs = TIME_MAX_MS,
    memoryMaxMiB = MEMORY_MAX_MIB,
    idleMaxMs = IDLE_MAX_MS,
    heldBytesMax = HELD_BYTES_MAX,
  } = {}) {
    this.#limits = { timeMaxMs, memoryMaxMiB, idleMaxMs }
    this.#heldBytesMax = heldBytesMax
  }

  /**
   * Reads an upload and renders it as `render` does. However many arrive at once, only so many bytes of them are held.
   *
   * @throws {ProblemError} as `render`; the upload's own when it fails.
   * @throws {Overloaded} when too much of others' has arrived already, or too many wait.
   */
  async renderUpload<Size extends string>(
    upload: Readable,
    rendering: Rendering<Size>,
  ): Promise<RenderedPicture<Size>> {
    let heldBytes = 0
    try {
      const file = await readPicture(upload, (bytes) => {
        heldBytes += bytes
        this.#heldBytes += bytes
        if (this.#heldBytes > this.#heldBytesMax) throw new Overloaded('Too many pictures arrive at once')
      })
      return await this.render(file, rendering)
    } finally {
      this.#heldBytes -= heldBytes
    }
  }

  /**
   * The picture in each size, as WebP without metadata, and how large the largest is. Pictures wait for each other.
   *
   * @throws {ProblemError} `image-not-accepted`, `invalid-request` for a crop that is not within the picture
   * @throws {Overloaded} when too many wait already.
   */
  async render<Size extends string>(file: Buffer, rendering: Rendering<Size>): Promise<RenderedPicture<Size>> {
    return await this.#turns.take(async () => {
      clearTimeout(this.#idle)
      if (this.#decoder?.isRunning !== true) this.#decoder = new Decoder()
      const decoder = this.#decoder
      let isGoingOn = false
      try {
        const { head, body } = await decoder.ask({ rendering, ...this.#limits }, file)
        const answer = head as DecoderAnswer
        const outcome =
          'sizes' in answer ? picturesIn(answer, body, Object.keys(rendering.sizes) as Size[]) : refusal(answer)
        isGoingOn = answer.isLast !== true
        if (outcome instanceof ProblemError) throw outcome
        return outcome
      } finally {
        if (isGoingOn) this.#idle = setTimeout(() => void this.#end(), this.#limits.idleMaxMs).unref()
        else await this.#end()
      }
    })
  }

  /** The id of the process, while there is one. */
  get pid(): number | undefined {
    return this.#decoder?.pid
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#idle)
    await this.#end()
  }

  async #end(): Promise<void> {
    const decoder = this.#decoder
    this.#decoder = undefined
    await decoder?.[Symbol.asyncDispose]()
  }
}

/** The process, from its start to its end. */
class Decoder implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #ended: Promise<unknown>
  readonly #answers: AsyncGenerator<Frame, void>
  #complaint = ''

  constructor() {
    const cache = getCompileCacheDir()
    this.#child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MAX_MIB}`, program], {
      env: cache === undefined ? {} : { NODE_COMPILE_CACHE: cache },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#ended = once(this.#child, 'close').catch((error: unknown) => error)
    this.#answers = frames(this.#child.stdout, DECODER_FRAME_BYTES_MAX)
    // That it does not read any more is seen by what it does not answer.
    this.#child.stdin.on('error', () => undefined)
    this.#child.stderr.on('data', (text: Buffer) => {
      this.#complaint = `${this.#complaint}${text.toString()}`.slice(-COMPLAINT_BYTES_MAX)
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** @throws {ProblemError} `image-not-accepted` when it was killed @throws {Error} when it cannot run at all. */
  async ask(task: DecoderTask, file: Buffer): Promise<Frame> {
    let isLate = false
    const late = setTimeout(() => {
      isLate = true
      this.#child.kill('SIGKILL')
    }, task.timeMaxMs + GRACE_MS)
    try {
      this.#child.stdin.write(frame(task, [file]))
      const answer = await this.#answers.next()
      if (answer.done !== true) return answer.value
      await this.#ended
      const { exitCode, signalCode } = this.#child
      if (isLate) throw refused('time')
      if (signalCode !== null) throw refused('died', `The decoder was ended by ${signalCode}`)
      throw new Error(`The decoder ended with ${exitCode}: ${this.#complaint}`)
    } finally {
      clearTimeout(late)
    }
  }

  /** It ends by itself when nothing can come any more, at once even while it decodes. */
  async [Symbol.asyncDispose](): Promise<void> {
    const late = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS)
    this.#child.stdin.end()
    await this.#ended
    clearTimeout(late)
  }
}

function refusal(answer: Exclude<DecoderAnswer, { sizes: unknown }>): ProblemError {
  if ('refused' in answer) return refused(answer.refused)
  const { width, height } = answer.refusedCrop
  const detail = `must be within the picture of ${Math.trunc(width)} by ${Math.trunc(height)} pixels`
  return new ProblemError(problems.invalidRequest, { errors: [{ pointer: '/query/size', detail }] })
}

function refused(why: Refusal, cause?: string): ProblemError {
  return new ProblemError(problems.imageNotAccepted, { detail: refusals[why] ?? refusals.died, cause })
}
