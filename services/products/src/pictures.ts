import type { Readable } from 'node:stream'
import { newId, type Clock } from '@saas/config'
import { pictureSizes, problems, ProblemError, productsEvents } from '@saas/contracts'
import type { EntityTags, Logger } from '@saas/http'
import { newPictureKey, PictureStore, type PictureDecoder } from '@saas/pictures'
import { sql, type Bus, type Database, type ObjectStore, type StoredObject } from '@saas/state'
import {
  columnsOf,
  productColumns,
  productStateData,
  tagged,
  type ProductRow,
  type StoredPicture,
  type TaggedProduct,
} from './product-row.ts'
import { versionsOf, type Author } from './products.ts'

/** An upload that is under way has long ended or failed by then. */
const UPLOAD_MAX_MS = 3_600_000
const ORPHANS_PER_RUN = 100

type PictureSize = keyof typeof pictureSizes
const sizes = Object.keys(pictureSizes) as PictureSize[]

/** Which picture of which product, if that still has one of these versions. */
interface PicturePlace {
  readonly id: string
  readonly n: number
  readonly ifMatch?: EntityTags | undefined
}

// Written before the objects, so that whatever happens in between somebody knows of them.
const insertOrphan = sql(
  'products.insert_picture_orphan',
  'insert into picture_orphan (picture_key, delete_from) values ($1, $2)',
)

type PictureRow = ProductRow & { readonly changed: boolean; readonly fits: boolean; readonly old_key: string | null }

// The place changes hands in one statement: the new picture is no orphan any more, the old one is. Without a new one the
// place becomes empty; where that is nothing new, the product is not touched.
const setPicture = sql<PictureRow>(
  'products.set_picture',
  `with found as materialized (
     select *
     from product
     where id = $1
       and deleted_at is null
     for no key update
   ), place as (
     select id, (select picture from jsonb_array_elements(pictures) as picture where (picture ->> 'n')::integer = $2) as old,
       $7::bigint[] is null or version = any($7) as fits
     from found
   ), saved as (
     update product
     set pictures = (
         select coalesce(jsonb_agg(picture order by (picture ->> 'n')::integer), '[]')
         from (
           select picture
           from jsonb_array_elements(product.pictures) as picture
           where (picture ->> 'n')::integer <> $2
           union all
           select $3::jsonb
           where $3::jsonb is not null
         ) as kept
       ),
       version = product.version + 1, updated_at = $4
     from place
     where product.id = place.id
       and place.fits
       and ($3::jsonb is not null or place.old is not null)
     returning product.*
   ), adopted as (
     delete from picture_orphan
     where picture_key = $3::jsonb ->> 'key'
       and exists (select from saved)
   ), orphaned as (
     insert into picture_orphan (picture_key, delete_from)
     select old ->> 'key', $4
     from place
     join saved using (id)
     where old is not null
   ), sent as (
     insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent)
     select $5, '${productsEvents.productChanged.aggregate}', id, version, '${productsEvents.productChanged.subject}',
       ${productStateData}, $6
     from saved
   )
   select true as changed, true as fits, place.old ->> 'key' as old_key, ${columnsOf('saved')}
   from saved
   join place using (id)
   union all
   select false, (select fits from place), null, ${productColumns}
   from found
   where not exists (select from saved)`,
)

const selectOrphans = sql<{ picture_key: string }>(
  'products.picture_orphans',
  `select picture_key
   from picture_orphan
   where delete_from <= $1
   order by delete_from
   limit ${ORPHANS_PER_RUN}`,
)

const deleteOrphan = sql('products.delete_picture_orphan', 'delete from picture_orphan where picture_key = $1')

/** The pictures of products: several a product, each under a random key that is never used twice. */
export class Pictures {
  readonly #database: Database
  readonly #bus: Bus
  readonly #store: PictureStore<PictureSize>
  readonly #decoder: PictureDecoder
  readonly #clock: Clock
  readonly #logger: Logger

  constructor(parts: {
    readonly database: Database
    readonly bus: Bus
    readonly objects: ObjectStore
    readonly decoder: PictureDecoder
    readonly clock: Clock
    readonly logger: Logger
  }) {
    this.#database = parts.database
    this.#bus = parts.bus
    this.#store = new PictureStore({ objects: parts.objects, folder: 'picture', sizes })
    this.#decoder = parts.decoder
    this.#clock = parts.clock
    this.#logger = parts.logger
  }

  /**
   * Puts a picture into a place, instead of the one that is there. Whatever fails, that one stays.
   *
   * @throws {ProblemError} `image-not-accepted`, `not-found`, `version-changed`, `dependency-unavailable`
   */
  async put(place: PicturePlace, upload: Readable, author: Author): Promise<TaggedProduct> {
    const rendering = { sizes: pictureSizes, fit: 'whole' } as const
    const { pictures, width, height } = await this.#decoder.renderUpload(upload, rendering)
    const key = newPictureKey()
    await this.#database.write(insertOrphan, [key, new Date(this.#clock.now().getTime() + UPLOAD_MAX_MS)])
    await this.#store.put(key, pictures)
    return await this.#set(place, { n: place.n, key, width, height }, author)
  }

  /** Empties a place; one that is empty is no error. @throws {ProblemError} `not-found`, `version-changed` */
  async remove(place: PicturePlace, author: Author): Promise<TaggedProduct> {
    return await this.#set(place, null, author)
  }

  /** The picture by the last part of its path, `<key>-<size>`. @throws {ProblemError} `not-found` */
  async get(name: string): Promise<StoredObject> {
    return await this.#store.get(name)
  }

  /** Deletes objects that belong to nobody: replaced ones, and failed uploads'. */
  async collectOrphans(): Promise<void> {
    for (const { picture_key } of await this.#database.read(selectOrphans, [this.#clock.now()])) {
      await this.#deleteOrphan(picture_key)
    }
  }

  async #set(
    { id, n, ifMatch }: PicturePlace,
    picture: StoredPicture | null,
    { traceParent }: Author,
  ): Promise<TaggedProduct> {
    const stored = picture === null ? null : JSON.stringify(picture)
    const values = [id, n, stored, this.#clock.now(), newId(), traceParent, versionsOf(ifMatch)]
    const [row] = await this.#database.write(setPicture, values)
    if (row?.changed === true) this.#bus.nudge()
    // The picture that was replaced, or the one that has found no place.
    const unused = row?.changed === true ? row.old_key : (picture?.key ?? null)
    if (unused !== null) {
      await this.#deleteOrphan(unused).catch((error: unknown) => {
        this.#logger.warn({ err: error }, 'a picture that is not used could not be deleted and will be later')
      })
    }
    if (row === undefined) throw new ProblemError(problems.notFound)
    if (!row.fits) throw new ProblemError(problems.versionChanged)
    return tagged(row)
  }

  async #deleteOrphan(key: string): Promise<void> {
    await this.#store.delete(key)
    await this.#database.write(deleteOrphan, [key])
  }
}
