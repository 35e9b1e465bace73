import { useSignal } from '@preact/signals'
import { PASSWORD_CHARACTERS_MIN } from '@saas/contracts'
import { createContext, type ComponentChildren, type JSX } from 'preact'
import { useContext, useEffect, useId, useRef } from 'preact/hooks'
import { describe } from '../errors.ts'
import { count } from '../formats.ts'
import { texts } from '../language.ts'
import { Refused } from '../send.ts'
import { user } from '../session.ts'
import { Icon } from './icon.tsx'

/** An entry that the page itself finds wrong, shown at its field like the server's own findings. */
export class WrongEntry extends Error {
  readonly pointer: string
  constructor(pointer: string, detail: string) {
    super(detail)
    this.pointer = pointer
  }
}

const Failed = createContext<unknown>(undefined)

/**
 * A form that sends once at a time. What the server refuses is shown at the field that it names, and the first such
 * field takes the focus; the rest is said above the button.
 */
export function Form(props: {
  submit: string
  send: (entries: FormData, form: HTMLFormElement) => Promise<void>
  children: ComponentChildren
  beside?: ComponentChildren
  /** Shown instead of the problem's own words. */
  failure?: (error: unknown) => ComponentChildren
  kind?: 'row'
  danger?: boolean
  /** Names what was typed, which this tab keeps when the session ends; before a reload loses it the browser asks. */
  guarded?: string
}) {
  const isSending = useSignal(false)
  const isTyped = useSignal(false)
  const error = useSignal<unknown>(undefined)
  const form = useRef<HTMLFormElement>(null)
  useEffect(() => {
    if (error.value === undefined) return
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus()
  }, [error.value])
  useEffect(() => {
    if (props.guarded === undefined || !isTyped.value) return undefined
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault()
    addEventListener('beforeunload', ask)
    return () => removeEventListener('beforeunload', ask)
  }, [isTyped.value])
  useEffect(() => {
    const element = form.current
    if (element === null || props.guarded === undefined) return undefined
    const key = `${user.peek()?.id} ${props.guarded}`
    isTyped.value = restoreEntries(element, key)
    return () => {
      if (isTyped.peek() && user.peek() === undefined) keepEntries(element, key)
    }
  }, [])
  const onSubmit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault()
    const element = form.current
    if (element === null || isSending.value) return
    isSending.value = true
    error.value = undefined
    try {
      await props.send(new FormData(element), element)
      isTyped.value = false
    } catch (failure) {
      error.value = failure
    } finally {
      isSending.value = false
    }
  }
  return (
    <form
      class={props.kind === 'row' ? 'form form-row' : 'form'}
      ref={form}
      onInput={() => (isTyped.value = true)}
      onSubmit={(event) => void onSubmit(event)}
    >
      <Failed.Provider value={error.value}>{props.children}</Failed.Provider>
      {error.value !== undefined && (
        <div class="form-trouble" role="alert">
          <Icon name="alert" />
          <div>{props.failure?.(error.value) ?? summary(error.value)}</div>
        </div>
      )}
      <div class="form-actions">
        <button
          type="submit"
          class={props.danger === true ? 'button danger' : 'button'}
          aria-disabled={isSending.value}
        >
          {props.submit}
        </button>
        {props.beside}
      </div>
    </form>
  )
}

function keepEntries(form: HTMLFormElement, key: string): void {
  sessionStorage.setItem(key, JSON.stringify([...new FormData(form)].filter(([, value]) => typeof value === 'string')))
}

/** Answers whether there was something. */
function restoreEntries(form: HTMLFormElement, key: string): boolean {
  const entries = JSON.parse(sessionStorage.getItem(key) ?? '[]') as readonly (readonly [string, string])[]
  sessionStorage.removeItem(key)
  for (const [name, value] of entries) {
    const field = form.elements.namedItem(name)
    if (field !== null && 'value' in field) field.value = value
  }
  return entries.length > 0
}

function summary(error: unknown): string {
  if (error instanceof WrongEntry) return texts.value.failure.fix
  return error instanceof Refused && error.problem === 'invalid-request' && error.fields.length > 0
    ? texts.value.failure.fix
    : describe(error)
}

/** What is wrong at this pointer or below it. The server's own sentence is English; what has no other one is marked as that. */
function useFinding(pointer: string): { readonly text: string; readonly lang?: 'en' } | undefined {
  const error = useContext(Failed)
  if (error instanceof WrongEntry) return error.pointer === pointer ? { text: error.message } : undefined
  if (!(error instanceof Refused)) return undefined
  const found = error.fields.find((field) => field.pointer === pointer || field.pointer.startsWith(`${pointer}/`))
  if (found === undefined) return undefined
  const said = found.code === undefined ? undefined : texts.value.findings[found.code]
  return said === undefined ? { text: found.detail, lang: 'en' } : { text: said(count(found.limit ?? 0)) }
}

interface FieldProps {
  name: string
  label: string
  hint?: string | undefined
  /** JSON pointer in the request's body; the field's name when not given. */
  pointer?: string
}

interface Described {
  readonly id: string
  readonly 'aria-describedby': string | undefined
  readonly 'aria-invalid': boolean
}

function Labelled(props: FieldProps & { control: (described: Described) => ComponentChildren }) {
  const id = useId()
  const finding = useFinding(props.pointer ?? `/${props.name}`)
  const describedBy = [props.hint === undefined ? '' : `${id}-hint`, finding === undefined ? '' : `${id}-finding`]
  const described = {
    id,
    'aria-describedby': describedBy.join(' ').trim() || undefined,
    'aria-invalid': finding !== undefined,
  }
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {props.control(described)}
      {props.hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {props.hint}
        </p>
      )}
      {finding !== undefined && (
        <p class="finding" id={`${id}-finding`} lang={finding.lang}>
          {finding.text}
        </p>
      )}
    </div>
  )
}

type Own<K extends keyof JSX.IntrinsicElements> = Omit<JSX.IntrinsicElements[K], keyof FieldProps | 'ref'>

/** With `autofocus` it takes the focus when it appears, which browsers themselves do only once a document. */
export function Field({ name, label, hint, pointer, autofocus, ...rest }: FieldProps & Own<'input'>) {
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (autofocus === true) input.current?.focus()
  }, [])
  const props = { name, label, hint, ...(pointer === undefined ? {} : { pointer }) }
  return (
    <Labelled
      {...props}
      control={(described) => <input {...(rest as object)} {...described} name={name} ref={input} />}
    />
  )
}

export function TextArea({ name, label, hint, pointer, ...rest }: FieldProps & Own<'textarea'>) {
  const props = { name, label, hint, ...(pointer === undefined ? {} : { pointer }) }
  return <Labelled {...props} control={(described) => <textarea {...rest} {...described} name={name} />} />
}

export function Select({ name, label, hint, children, ...rest }: FieldProps & Own<'select'>) {
  return (
    <Labelled
      name={name}
      label={label}
      hint={hint}
      control={(described) => (
        <select {...(rest as object)} {...described} name={name}>
          {children}
        </select>
      )}
    />
  )
}

/** A password with a way to look at it. */
export function PasswordField(props: FieldProps & { autocomplete: 'current-password' | 'new-password' }) {
  const isShown = useSignal(false)
  const { autocomplete, ...field } = props
  return (
    <div class="password">
      <Field
        {...field}
        type={isShown.value ? 'text' : 'password'}
        autocomplete={autocomplete}
        required
        maxLength={256}
      />
      <label class="check">
        <input type="checkbox" checked={isShown} onChange={(event) => (isShown.value = event.currentTarget.checked)} />
        {texts.value.form.show}
      </label>
    </div>
  )
}

/** The text of a form's entry, without the spaces around it. */
export function entry(entries: FormData, name: string): string {
  const value = entries.get(name)
  return typeof value === 'string' ? value.trim() : ''
}

/** A new password, which the shop would refuse for being short in English only. */
export function newSecretEntry(entries: FormData, name: string): string {
  const secret = secretEntry(entries, name)
  if (Array.from(secret).length >= PASSWORD_CHARACTERS_MIN) return secret
  throw new WrongEntry(`/${name}`, texts.value.form.passwordShort)
}

/** A password exactly as typed: spaces at its ends count. */
export function secretEntry(entries: FormData, name: string): string {
  const value = entries.get(name)
  return typeof value === 'string' ? value : ''
}
