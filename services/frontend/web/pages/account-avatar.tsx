import { useSignal } from '@preact/signals'
import { AVATAR_BYTES_MAX, authRoutes, type Profile } from '@saas/contracts'
import { useEffect, useId, useRef } from 'preact/hooks'
import { call } from '../client.ts'
import { AvatarPicture } from '../components/avatar.tsx'
import { Icon } from '../components/icon.tsx'
import { describe } from '../errors.ts'
import { texts } from '../language.ts'
import { say } from '../notices.ts'
import { rememberUser } from '../session.ts'
import { CropChoice, type Crop } from './account-crop.tsx'

interface Chosen {
  readonly file: File
  /** Of the browser's own copy; freed when another is chosen. */
  readonly url: string
}

export function AvatarSection({ person }: { person: Profile }) {
  const { account, cancel } = texts.value
  const id = useId()
  const field = useRef<HTMLInputElement>(null)
  const chosen = useSignal<Chosen | undefined>(undefined)
  const trouble = useSignal<string | undefined>(undefined)
  const isSending = useSignal(false)
  const crop = useSignal<Crop | undefined>(undefined)

  const drop = (): void => {
    if (chosen.value !== undefined) URL.revokeObjectURL(chosen.value.url)
    chosen.value = undefined
    crop.value = undefined
    if (field.current !== null) field.current.value = ''
  }
  useEffect(() => drop, [])

  const choose = (file: File | undefined): void => {
    if (chosen.value !== undefined) URL.revokeObjectURL(chosen.value.url)
    const isTooLarge = file !== undefined && file.size > AVATAR_BYTES_MAX
    trouble.value = isTooLarge ? account.pictureTooLarge : undefined
    chosen.value = file === undefined || isTooLarge ? undefined : { file, url: URL.createObjectURL(file) }
  }
  const change = async (work: () => Promise<Profile>): Promise<void> => {
    if (isSending.value) return
    isSending.value = true
    trouble.value = undefined
    try {
      rememberUser(await work())
      drop()
      say(account.pictureSaved)
    } catch (error) {
      trouble.value = describe(error)
    } finally {
      isSending.value = false
    }
  }
  const upload = async (file: File): Promise<Profile> =>
    (await call(authRoutes.putAvatar, { upload: file, query: crop.value ?? {} })).body
  const remove = async (): Promise<Profile> => (await call(authRoutes.deleteAvatar, {})).body
  const preview = chosen.value

  return (
    <section class="panel avatar-panel" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{account.picture}</h2>
      <div class="avatar-choice">
        {preview === undefined ? (
          <AvatarPicture person={person} size="medium" />
        ) : (
          <CropChoice key={preview.url} url={preview.url} choose={(square) => (crop.value = square)} />
        )}
        <div>
          <label class="button quiet" for={id}>
            {account.choosePicture}
          </label>
          <input
            id={id}
            ref={field}
            class="visually-hidden file"
            type="file"
            accept="image/png,image/jpeg,image/webp,image/gif"
            aria-describedby={`${id}-hint`}
            onChange={(event) => choose(event.currentTarget.files?.[0])}
          />
          <p class="hint" id={`${id}-hint`}>
            {account.pictureHint}
          </p>
        </div>
      </div>
      {trouble.value !== undefined && (
        <p class="form-trouble" role="alert">
          <Icon name="alert" />
          <span>{trouble.value}</span>
        </p>
      )}
      <div class="form-actions">
        {preview !== undefined && (
          <>
            <button
              type="button"
              class="button"
              aria-disabled={isSending.value}
              onClick={() => void change(async () => await upload(preview.file))}
            >
              {account.upload}
            </button>
            <button type="button" class="button quiet" onClick={drop}>
              {cancel}
            </button>
          </>
        )}
        {preview === undefined && person.avatar !== null && (
          <button type="button" class="plain" onClick={() => void change(remove)}>
            {account.removePicture}
          </button>
        )}
      </div>
    </section>
  )
}
