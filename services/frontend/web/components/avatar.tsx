import type { Profile } from '@saas/contracts'
import { randomFrom } from '../random.ts'

/** Somebody's picture, or their initial on a colour of their own. */
export function AvatarPicture({ person, size }: { person: Profile; size: 'small' | 'medium' }) {
  const { avatar, name, id } = person
  if (avatar !== null) return <img class={`avatar ${size}`} src={avatar[size]} alt="" />
  // What a reader takes for one letter may be several code points, as flags are.
  const [first] = new Intl.Segmenter().segment(name.trim())
  const initial = (first?.segment ?? '?').toUpperCase()
  return (
    <span class={`avatar ${size} hue-${randomFrom(id).pick([1, 2, 3, 4])}`} aria-hidden="true">
      {initial}
    </span>
  )
}
