import { randomBytes } from 'node:crypto'
import { ProblemError, problems } from '@saas/contracts'
import type { ObjectStore, StoredObject } from '@saas/state'
import { PICTURE_MEDIA_TYPE } from './picture.ts'

const KEY_BYTES = 16

/** 128 random bits, base64url: unguessable and never used twice, so that what is stored under it never changes. */
export function newPictureKey(): string {
  return randomBytes(KEY_BYTES).toString('base64url')
}

/**
 * Pictures in a folder of the object store, one object a size under `<folder>/<key>-<size>`. Somebody must know of a key
 * before its objects are stored, or what failed half-way would stay for ever.
 */
export class PictureStore<Size extends string> {
  readonly #objects: ObjectStore
  readonly #folder: string
  readonly #sizes: readonly Size[]
  #bucket: Promise<void> | undefined

  constructor({
    objects,
    folder,
    sizes,
  }: {
    readonly objects: ObjectStore
    readonly folder: string
    readonly sizes: readonly Size[]
  }) {
    this.#objects = objects
    this.#folder = folder
    this.#sizes = sizes
  }

  /** Stores each size. @throws {DependencyUnavailable} */
  async put(key: string, pictures: ReadonlyMap<Size, Buffer>): Promise<void> {
    await this.#ensureBucket()
    for (const [size, picture] of pictures) {
      await this.#objects.put(this.#name(key, size), picture, { contentType: PICTURE_MEDIA_TYPE })
    }
  }

  /** The picture by the last part of its path, `<key>-<size>`. @throws {ProblemError} `not-found` */
  async get(name: string): Promise<StoredObject> {
    const picture = await this.#objects.get(`${this.#folder}/${name}`)
    if (picture === undefined) throw new ProblemError(problems.notFound)
    return picture
  }

  /** Deletes each size; those that are not there are no error. @throws {DependencyUnavailable} */
  async delete(key: string): Promise<void> {
    for (const size of this.#sizes) await this.#objects.delete(this.#name(key, size))
  }

  /** Before the first picture and not at the start: whoever has none to store needs no object store. */
  async #ensureBucket(): Promise<void> {
    this.#bucket ??= this.#objects.ensureBucket()
    try {
      await this.#bucket
    } catch (error) {
      this.#bucket = undefined
      throw error
    }
  }

  #name(key: string, size: Size): string {
    return `${this.#folder}/${key}-${size}`
  }
}
