import type { ComponentChildren } from 'preact'
import { useRef } from 'preact/hooks'
import { texts } from '../language.ts'

/** A button that asks back before it does something that cannot be undone. */
export function AskingButton(props: {
  label: string
  /** What it is done to, for those who hear one button of many by its name alone. */
  to?: string
  question: string
  confirm: string
  cancel?: string
  kind?: string
  act: () => void
  children?: ComponentChildren
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  const close = (): void => dialog.current?.close()
  const confirm = (): void => {
    close()
    props.act()
  }
  return (
    <>
      <button type="button" class={props.kind ?? 'button danger quiet'} onClick={() => dialog.current?.showModal()}>
        {props.label}
        {props.to !== undefined && <span class="visually-hidden"> {props.to}</span>}
      </button>
      <dialog ref={dialog} class="question" aria-label={props.question}>
        <p>{props.question}</p>
        <div class="form-actions">
          <button type="button" class="button danger" onClick={confirm}>
            {props.confirm}
          </button>
          {/* Whoever presses Enter twice has done nothing. */}
          <button type="button" class="button quiet" autofocus onClick={close}>
            {props.cancel ?? texts.value.cancel}
          </button>
        </div>
      </dialog>
    </>
  )
}
