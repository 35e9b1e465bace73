import type { PageName } from '@saas/contracts'
import { Component, type ComponentChildren, type ComponentType } from 'preact'
import { useLoaded } from './loaded.ts'
import { Header } from './components/header.tsx'
import { Notices } from './components/notices.tsx'
import { Loading } from './components/states.tsx'
import { chooseLanguage, language, nameOfLanguage, pageLanguages, texts } from './language.ts'
import { BasketPage } from './pages/basket.tsx'
import { FailedPage } from './pages/failed.tsx'
import { CrashedPage, NotFoundPage } from './pages/not-found.tsx'
import { ProductPage } from './pages/product.tsx'
import { ShopPage } from './pages/shop.tsx'
import { isOutdated, renew } from './renewal.ts'
import { sayTrouble } from './notices.ts'
import { linkTo, place } from './router.ts'
import { Unanswered } from './send.ts'
import { secondFactorRequired, sessionInDoubt, user } from './session.ts'
import { saveLanguage } from './profile.ts'

/**
 * A page that is loaded when it is first visited: who looks around does not pay for accounts and the office. A browser remembers that a module did not come, and
 * after an upgrade it has another name: only loading everything again helps. After an upgrade nobody has to ask for that.
 */
function later(load: () => Promise<ComponentType>): ComponentType {
  let known: ComponentType | undefined
  const loadOrRenew = async (signal: AbortSignal): Promise<ComponentType> => {
    try {
      return (known ??= await load())
    } catch (error) {
      if (!(await isOutdated()) || signal.aborted) throw error
      location.reload()
      // What is shown stays until the new document comes.
      return await new Promise(() => undefined)
    }
  }
  return function Later() {
    const { loaded } = useLoaded(loadOrRenew, [])
    if (known !== undefined) {
      const Known = known
      return <Known />
    }
    if (loaded.value.state !== 'failed') return <Loading />
    const error = new Unanswered('A page did not come.', { cause: loaded.value.error })
    return <FailedPage error={error} retry={() => void renew().catch(sayTrouble)} />
  }
}

const views: Readonly<Record<PageName, ComponentType>> = {
  shop: ShopPage,
  product: ProductPage,
  basket: BasketPage,
  orders: later(async () => (await import('./pages/orders.tsx')).OrdersPage),
  order: later(async () => (await import('./pages/order.tsx')).OrderPage),
  login: later(async () => (await import('./pages/login.tsx')).LogInPage),
  register: later(async () => (await import('./pages/register.tsx')).RegisterPage),
  verify: later(async () => (await import('./pages/verify.tsx')).VerifyPage),
  reset: later(async () => (await import('./pages/reset.tsx')).ResetPage),
  unsubscribe: later(async () => (await import('./pages/unsubscribe.tsx')).UnsubscribePage),
  email: later(async () => (await import('./pages/email.tsx')).EmailPage),
  emailUndo: later(async () => (await import('./pages/email.tsx')).EmailUndoPage),
  provider: later(async () => (await import('./pages/provider.tsx')).ProviderPage),
  account: later(async () => (await import('./pages/account.tsx')).AccountPage),
  manageProducts: later(async () => (await import('./pages/manage-products.tsx')).ManageProductsPage),
  manageProduct: later(async () => (await import('./pages/manage-product.tsx')).ManageProductPage),
  manageFiles: later(async () => (await import('./pages/manage-files.tsx')).ManageFilesPage),
  manageOrders: later(async () => (await import('./pages/manage-orders.tsx')).ManageOrdersPage),
  manageOrder: later(async () => (await import('./pages/manage-order.tsx')).ManageOrderPage),
  operate: later(async () => (await import('./pages/operate.tsx')).OperatePage),
  problem: later(async () => (await import('./pages/problem.tsx')).ProblemPage),
}

export function App() {
  const { page, params } = place.value
  const View = page === undefined ? NotFoundPage : views[page]
  return (
    <>
      <a class="skip" href="#main">
        {texts.value.skipToContent}
      </a>
      <Header />
      {sessionInDoubt.value && (
        <p class="banner" role="status">
          {texts.value.failure.inDoubt}
        </p>
      )}
      {secondFactorRequired.value && page !== 'account' && (
        <p class="banner" role="status">
          {texts.value.security.required} <a href={linkTo('account')}>{texts.value.security.setUp}</a>
        </p>
      )}
      <main id="main" tabIndex={-1}>
        <Safely key={`${page} ${params['id'] ?? params['name'] ?? ''}`}>
          <View />
        </Safely>
      </main>
      <Footer />
      <Notices />
    </>
  )
}

/** A page that breaks leaves the rest of the shop standing. */
class Safely extends Component<{ children: ComponentChildren }, { hasFailed: boolean }> {
  override state = { hasFailed: false }

  static override getDerivedStateFromError(): { hasFailed: boolean } {
    return { hasFailed: true }
  }

  override componentDidCatch(error: unknown): void {
    console.error(error)
  }

  override render(): ComponentChildren {
    return this.state.hasFailed ? <CrashedPage /> : this.props.children
  }
}

function Footer() {
  const { footer } = texts.value
  return (
    <footer class="bottom">
      <p>{footer.note}</p>
      <div role="group" aria-label={footer.language} class="languages">
        {pageLanguages.map((which) => (
          <button
            type="button"
            lang={which}
            aria-pressed={which === language.value}
            onClick={() => (user.value === undefined ? chooseLanguage(which) : void saveLanguage(which))}
          >
            {nameOfLanguage(which)}
          </button>
        ))}
      </div>
    </footer>
  )
}
