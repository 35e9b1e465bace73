import { useEffect, useRef } from 'preact/hooks'
import { basketCount } from '../basket.ts'
import { texts } from '../language.ts'
import { sayTrouble } from '../notices.ts'
import { linkTo, place } from '../router.ts'
import { may, session, signOut, user } from '../session.ts'
import { AvatarPicture } from './avatar.tsx'
import { Icon } from './icon.tsx'

export function Header() {
  const { nav, home } = texts.value
  const count = basketCount.value
  const { page } = place.value
  return (
    <header class="top">
      <a class="brand" href={linkTo('shop')} aria-label={`saas, ${home}`}>
        <svg viewBox="0 0 64 64" aria-hidden="true">
          <path d="M8 28a24 24 0 0 1 48 0z" class="brand-upper" />
          <path d="M56 36a24 24 0 0 1-48 0z" class="brand-lower" />
        </svg>
        saas
      </a>
      <nav aria-label={nav.label}>
        {session.value.state === 'anonymous' && (
          <a href={linkTo('login')} class="top-link" aria-current={page === 'login' ? 'page' : undefined}>
            {nav.logIn}
          </a>
        )}
        <AccountMenu />
        <a
          href={linkTo('basket')}
          class="round-link"
          aria-label={nav.basket(count)}
          aria-current={page === 'basket' ? 'page' : undefined}
        >
          <Icon name="basket" />
          {count > 0 && (
            <span class="bubble" aria-hidden="true" key={count}>
              {count > 99 ? '99+' : count}
            </span>
          )}
        </a>
      </nav>
    </header>
  )
}

function AccountMenu() {
  const { nav } = texts.value
  const menu = useRef<HTMLDivElement>(null)
  const person = user.value
  const close = (): void => menu.current?.hidePopover()
  useEffect(() => {
    // Before 18.3, Safari on a phone does not do so by itself.
    const closeOutside = ({ target }: PointerEvent): void => {
      if (target instanceof Element && target.closest('.account-menu') === null) close()
    }
    addEventListener('pointerdown', closeOutside)
    return () => removeEventListener('pointerdown', closeOutside)
  }, [])
  if (person === undefined) return null
  // A menu that is left stays over what is reached next.
  const onFocusOut = ({ relatedTarget }: FocusEvent): void => {
    if (relatedTarget instanceof Element && relatedTarget.closest('.account-menu') === null) close()
  }
  const leave = (): void => {
    close()
    signOut().catch(sayTrouble)
  }
  const item = (href: string, label: string) => (
    <a href={href} onClick={close} aria-current={location.pathname === href ? 'page' : undefined}>
      {label}
    </a>
  )
  return (
    <div class="account-menu" onFocusOut={onFocusOut}>
      <button type="button" class="round-link" popovertarget="account-menu" aria-label={nav.menu}>
        <AvatarPicture person={person} size="small" />
      </button>
      <div id="account-menu" class="menu" popover="auto" ref={menu}>
        <p class="menu-name">{person.name}</p>
        {item(linkTo('orders'), nav.orders)}
        {item(linkTo('account'), nav.account)}
        {may('products:write') && item(linkTo('manageProducts'), nav.manage)}
        {may('orders:read') && item(linkTo('manageOrders'), nav.manageOrders)}
        {may('admin') && item(linkTo('operate'), nav.operate)}
        <button type="button" onClick={leave}>
          {nav.logOut}
        </button>
      </div>
    </div>
  )
}
