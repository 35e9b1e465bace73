import type { RefObject } from 'preact'
import { useRef } from 'preact/hooks'
import { texts } from '../language.ts'
import { Icon } from './icon.tsx'

/** The one field that looks for products; `search` gets what was typed, without the spaces around it. */
export function SearchForm(props: {
  search: (typed: string) => void
  words?: string
  field?: RefObject<HTMLInputElement | null>
  onInput?: () => void
}) {
  const { shop } = texts.value
  const own = useRef<HTMLInputElement>(null)
  const field = props.field ?? own
  const onSubmit = (event: SubmitEvent): void => {
    event.preventDefault()
    props.search(field.current?.value.trim() ?? '')
  }
  return (
    <search>
      <form class="search" onSubmit={onSubmit}>
        <Icon name="search" />
        <input
          type="search"
          name="q"
          ref={field}
          defaultValue={props.words ?? ''}
          maxLength={200}
          aria-label={shop.searchLabel}
          placeholder={shop.searchHint}
          onInput={props.onInput}
        />
      </form>
    </search>
  )
}
