const ENTRIES = 'li, tr'

/** What went away with the focus, and where it was. */
interface Lost {
  readonly control: Element
  /** What was taken out of `from`, with the control in it. */
  readonly removed: Element
  readonly from: Element
  readonly before: Node | null
}

/**
 * Whoever works without a mouse stands where the focus is. What an answer takes away takes the focus along, and the next Tab would begin at the top
 * of the document: the same control of what replaced it gets it, else the entry of the list that stands there now, else the heading.
 * Never another control: a second Enter was meant for the first.
 */
export function keepFocus(): void {
  let focused: Element | undefined
  document.addEventListener('focusin', ({ target }) => {
    focused = target instanceof Element ? target : undefined
  })
  document.addEventListener('focusout', ({ target, relatedTarget }) => {
    // A click beside everything is a wish to be nowhere; a window that goes to the back is none.
    if (relatedTarget !== null || !document.hasFocus()) return
    queueMicrotask(() => {
      if (target !== focused || focused === undefined) return
      if (focused.isConnected && document.activeElement !== focused) focused = undefined
    })
  })
  const lose = (lost: Lost): void => {
    focused = undefined
    whenSettled(() => restore(lost))
  }
  const observer = new MutationObserver((records) => {
    const control = focused
    if (control === undefined) return
    for (const { target, removedNodes, previousSibling } of records) {
      const removed = [...removedNodes].find((node) => node.contains(control))
      if (!(removed instanceof Element) || !(target instanceof Element)) continue
      lose({ control, removed, from: target, before: previousSibling })
      return
    }
    if (!control.isConnected) lose({ control, removed: control, from: document.body, before: null })
  })
  observer.observe(document.body, { childList: true, subtree: true })
}

/** After pages and forms have given the focus to whatever they want to have it. */
function whenSettled(act: () => void): void {
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(act)))
}

function restore({ control, removed, from, before }: Lost): void {
  if (document.activeElement !== document.body && document.activeElement !== null) return
  if (control.isConnected) {
    focusQuietly(control)
    return
  }
  const successor = successorIn(from, before)
  // Another entry may have a control of the same name, which is another control all the same.
  const isEntry = removed.matches(ENTRIES)
  const same = isEntry || successor === null ? undefined : counterpart(control, removed, successor)
  const entry = [successor, from.lastElementChild].find((element) => isEntry && element?.matches(ENTRIES))
  const heading = document.querySelector('h1') ?? document.querySelector('main')
  const found = same ?? entry ?? from.closest(ENTRIES)
  focusQuietly(found?.isConnected === true ? found : heading)
}

/** What stands in `parent` after `node` now. */
function successorIn(parent: Element, node: Node | null): Element | null {
  if (!parent.isConnected) return null
  if (node?.parentNode !== parent) return parent.firstElementChild
  for (let sibling = node.nextSibling; sibling !== null; sibling = sibling.nextSibling) {
    if (sibling instanceof Element) return sibling
  }
  return null
}

/** What stands in `other` where `control` stands in `whole`, when it is the same thing. */
function counterpart(control: Element, whole: Element, other: Element): Element | undefined {
  let found: Element | undefined = other
  for (const index of pathIn(whole, control)) found = found?.children[index]
  return found !== undefined && nameOf(found) === nameOf(control) ? found : undefined
}

function pathIn(whole: Element, part: Element): readonly number[] {
  const { parentElement } = part
  if (part === whole || parentElement === null) return []
  return [...pathIn(whole, parentElement), [...parentElement.children].indexOf(part)]
}

function nameOf(element: Element): string {
  const { tagName, textContent } = element
  return [tagName, element.getAttribute('name'), element.getAttribute('aria-label'), textContent].join()
}

/** Gives the focus to what need not be a control: an entry, a heading. The view does not move. */
export function focusQuietly(element: Element | null | undefined): void {
  if (!(element instanceof HTMLElement)) return
  if (element.tabIndex < 0 && !element.hasAttribute('tabindex')) element.tabIndex = -1
  element.focus({ preventScroll: true })
}
