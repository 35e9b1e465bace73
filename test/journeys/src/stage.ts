import type { Browser } from 'playwright-core'
import { launchBrowser } from './browser.ts'
import { newStaff, type Credentials } from './person.ts'
import { startShop, type ProvidersAt, type Shop } from './shop.ts'

/** What a journey in a browser needs. */
export interface Stage extends AsyncDisposable {
  readonly shop: Shop
  readonly browser: Browser
  readonly admin: Credentials
  readonly manager: Credentials
}

export async function openStage(providersAt?: ProvidersAt): Promise<Stage> {
  await using resources = new AsyncDisposableStack()
  const shop = resources.use(await startShop(providersAt))
  const browser = await launchBrowser()
  resources.defer(async () => await browser.close())
  const staff = await newStaff(shop)
  const owned = resources.move()
  return { shop, browser, ...staff, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
