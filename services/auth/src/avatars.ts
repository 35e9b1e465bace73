import type { Readable } from 'node:stream'
import { avatarSizes, ProblemError, problems } from '@saas/contracts'
import type { Logger } from '@saas/http'
import { newPictureKey, PictureStore, type Crop, type PictureDecoder } from '@saas/pictures'
import { sql, type Database, type ObjectStore, type StoredObject } from '@saas/state'
import type { Clock } from '@saas/config'
import { accountColumns, type Account } from './account.ts'
import type { Client } from './client.ts'
import type { Throttle } from './throttle.ts'

/** An upload that is under way has long ended or failed by then. */
const UPLOAD_MAX_MS = 3_600_000
const ORPHANS_PER_RUN = 100
type AvatarSize = keyof typeof avatarSizes

// Written before the objects, so that whatever happens in between somebody knows of them.
const insertOrphan = sql(
  'auth.insert_avatar_orphan',
  'insert into avatar_orphan (avatar_key, delete_from) values ($1, $2)',
)

// The picture changes hands in one statement: the new one is no orphan any more, the old one is.
const setAvatar = sql<Account & { oldKey: string | null }>(
  'auth.set_avatar',
  `with replaced as (
     update account
     set avatar_key = $2, updated_at = $3
     where id = $1
     returning ${accountColumns}, old.avatar_key as "oldKey"
   ),
   adopted as (
     delete from avatar_orphan
     where avatar_key = $2 and exists (select from replaced)
   ),
   orphaned as (
     insert into avatar_orphan (avatar_key, delete_from)
     select "oldKey", $3
     from replaced
     where "oldKey" is not null
   )
   select * from replaced`,
)

const selectOrphans = sql<{ avatarKey: string }>(
  'auth.avatar_orphans',
  `select avatar_key as "avatarKey"
   from avatar_orphan
   where delete_from <= $1
   order by delete_from
   limit ${ORPHANS_PER_RUN}`,
)

const deleteOrphan = sql('auth.delete_avatar_orphan', 'delete from avatar_orphan where avatar_key = $1')

interface AvatarsContext {
  readonly database: Database
  readonly objects: ObjectStore
  readonly decoder: PictureDecoder
  readonly clock: Clock
  readonly logger: Logger
  readonly throttle: Throttle
}

/** Profile pictures: three objects each under a random key that is never used twice. */
export class Avatars {
  readonly #context: AvatarsContext
  readonly #pictures: PictureStore<AvatarSize>

  constructor(context: AvatarsContext) {
    this.#context = context
    const sizes = Object.keys(avatarSizes) as AvatarSize[]
    this.#pictures = new PictureStore({ objects: context.objects, folder: 'avatar', sizes })
  }

  /**
   * Replaces the picture. Whatever fails, the old one stays in place.
   *
   * @throws {ProblemError} `image-not-accepted`, `invalid-request`, `too-many-requests`, `dependency-unavailable`
   */
  async put(accountId: string, upload: Readable, client: Client, crop?: Crop): Promise<Account> {
    await this.#context.throttle.take('picture', accountId, client.network)
    const { pictures } = await this.#context.decoder.renderUpload(upload, { sizes: avatarSizes, fit: 'square', crop })
    const key = newPictureKey()
    await this.#context.database.write(insertOrphan, [
      key,
      new Date(this.#context.clock.now().getTime() + UPLOAD_MAX_MS),
    ])
    await this.#pictures.put(key, pictures)
    return await this.#set(accountId, key)
  }

  async remove(accountId: string): Promise<Account> {
    return await this.#set(accountId, null)
  }

  /** The picture by the last part of its path, `<key>-<size>`. @throws {ProblemError} `not-found` */
  async get(name: string): Promise<StoredObject> {
    return await this.#pictures.get(name)
  }

  /** Deletes objects that belong to nobody: replaced ones, and those of uploads that failed on the way. */
  async collectOrphans(): Promise<void> {
    for (const { avatarKey } of await this.#context.database.read(selectOrphans, [this.#context.clock.now()])) {
      await this.#deleteOrphan(avatarKey)
    }
  }

  async #set(accountId: string, key: string | null): Promise<Account> {
    const [account] = await this.#context.database.write(setAvatar, [accountId, key, this.#context.clock.now()])
    if (account === undefined) throw new ProblemError(problems.notFound)
    if (account.oldKey !== null) {
      await this.#deleteOrphan(account.oldKey).catch((error: unknown) => {
        this.#context.logger.warn({ err: error }, 'an old picture could not be deleted and will be later')
      })
    }
    return account
  }

  async #deleteOrphan(key: string): Promise<void> {
    await this.#pictures.delete(key)
    await this.#context.database.write(deleteOrphan, [key])
  }
}
