import type { Profile } from '@saas/contracts'
import { randomFrom } from '../random.ts'

/** Somebody's picture, or their initial on a colour of their own. */
export function AvatarPicture({ person, size }: { person: Profile; size: 'small' | 'medium' }) {
  const { avatar, name, id } = person
  if (avatar !== null) return <img class={`avatar ${size}`} src={avatar[size]} alt="" />
  const initial = String.fromCodePoint(name.trim().codePointAt(0) ?? 63).toUpperCase()
  return (
    <span class={`avatar ${size} hue-${randomFrom(id).pick([1, 2, 3, 4])}`} aria-hidden="true">
      {initial}
    </span>
  )
}
