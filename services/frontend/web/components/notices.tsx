import { texts } from '../language.ts'
import { dismiss, notices } from '../notices.ts'
import { Icon } from './icon.tsx'

/** The live region stands in the page from the start, so that screen readers hear what appears in it. */
export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map(({ id, kind, text }) => (
        <div class={`notice ${kind}`} key={id}>
          <Icon name={kind === 'done' ? 'check' : 'alert'} />
          <p>{text}</p>
          <button type="button" aria-label={texts.value.dismiss} onClick={() => dismiss(id)}>
            <Icon name="cross" />
          </button>
        </div>
      ))}
    </div>
  )
}
