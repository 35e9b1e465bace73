import { useRef } from 'preact/hooks'
import { focusQuietly } from '../kept-focus.ts'
import { texts } from '../language.ts'
import { dismiss, notices } from '../notices.ts'
import { Icon } from './icon.tsx'

/** The live region stands in the page from the start, so that screen readers hear what appears in it. */
export function Notices() {
  const place = useRef<HTMLDivElement>(null)
  const cameFrom = useRef<Element | undefined>(undefined)
  const onFocusIn = ({ relatedTarget }: FocusEvent): void => {
    if (relatedTarget instanceof Element && place.current?.contains(relatedTarget) === false) {
      cameFrom.current = relatedTarget
    }
  }
  const close = (id: number): void => {
    dismiss(id)
    if (cameFrom.current?.isConnected === true) focusQuietly(cameFrom.current)
  }
  return (
    <div class="notices" role="status" aria-live="polite" ref={place} onFocusIn={onFocusIn}>
      {notices.value.map(({ id, kind, text }) => (
        <div class={`notice ${kind}`} key={id}>
          <Icon name={kind === 'done' ? 'check' : 'alert'} />
          <p>{text}</p>
          <button type="button" aria-label={texts.value.dismiss} onClick={() => close(id)}>
            <Icon name="cross" />
          </button>
        </div>
      ))}
    </div>
  )
}
