import { cloneDirectory } from '@saas/devstack'
import { eventually } from '@saas/testing'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { BrowserContext, Locator, Page } from 'playwright-core'
import type { Credentials } from './person.ts'
import type { Stage } from './stage.ts'

const STEP_TIMEOUT_MS = 30_000
const desktop = { width: 1280, height: 860 }
const tablet = { width: 768, height: 1024 }
const phone = { width: 360, height: 780 }
const artefacts = join(cloneDirectory, 'artefacts/journeys')

/**
 * Chromium has more than the oldest browsers that the pages are for (services/frontend/vite.config.ts), and no type tells: Safari iterates over no
 * stream. What may only make a page nicer, and is asked for before it is used, need not be here.
 */
const withoutWhatOthersLack = `
  for (const [owner, names] of [
    [ReadableStream.prototype, ['values', Symbol.asyncIterator]],
    [ReadableStream, ['from']],
    [Iterator.prototype, ['drop', 'every', 'filter', 'find', 'flatMap', 'forEach', 'map', 'reduce', 'some', 'take', 'toArray']],
    [Iterator, ['from', 'concat']],
    [Set.prototype, ['difference', 'intersection', 'isDisjointFrom', 'isSubsetOf', 'isSupersetOf', 'symmetricDifference', 'union']],
    [Map.prototype, ['getOrInsert', 'getOrInsertComputed']],
    [Promise, ['try']],
    [RegExp, ['escape']],
    [Error, ['isError']],
    [URL, ['parse']],
    [Uint8Array, ['fromBase64', 'fromHex']],
    [Uint8Array.prototype, ['toBase64', 'toHex']],
    [Intl, ['DurationFormat']],
    [HTMLDialogElement.prototype, ['closedBy', 'requestClose']],
    [Element.prototype, ['moveBefore']],
    [Document.prototype, ['startViewTransition']],
    [globalThis, ['cookieStore', 'navigation', 'requestIdleCallback', 'scheduler', 'CloseWatcher', 'URLPattern']],
  ])
    for (const name of names) delete owner[name]
`

/** Somebody in front of a browser of their own. Whatever the pages complain about fails the journey. */
export class Visitor implements AsyncDisposable {
  readonly page: Page
  readonly #context: BrowserContext
  readonly #complaints: string[] = []

  private constructor(context: BrowserContext, page: Page) {
    this.#context = context
    this.page = page
    page.on('pageerror', (error) => this.#complaints.push(String(error)))
    page.on('console', (message) => {
      // Chromium reports every refusal, also those that a journey provokes.
      const isRefusal = message.text().startsWith('Failed to load resource')
      if (message.type() === 'error' && !isRefusal) this.#complaints.push(message.text())
    })
  }

  static async arrive({ shop, browser }: Stage, locale = 'en-GB'): Promise<Visitor> {
    const context = await browser.newContext({
      baseURL: shop.url,
      viewport: desktop,
      locale,
      timezoneId: 'Europe/Berlin',
    })
    context.setDefaultTimeout(STEP_TIMEOUT_MS)
    await context.addInitScript(withoutWhatOthersLack)
    return new Visitor(context, await context.newPage())
  }

  /** Another tab of the same browser. */
  async newTab(): Promise<Page> {
    return await this.#context.newPage()
  }

  async logIn(credentials: Credentials): Promise<void> {
    await this.page.goto('/login')
    await this.fillLogIn(credentials)
    await this.page.getByRole('button', { name: 'Your menu' }).waitFor()
  }

  /** Fills in the password and, for those who have one, the second factor. */
  async fillLogIn(credentials: Pick<Credentials, 'email' | 'password' | 'authenticator'>): Promise<void> {
    const { email, password, authenticator } = credentials
    await this.page.getByLabel('Email').fill(email)
    await this.page.getByLabel('Password', { exact: true }).fill(password)
    await this.page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
    if (authenticator === undefined) return
    const proof = await authenticator.proof()
    if ('recoveryCode' in proof) {
      await this.page.getByRole('button', { name: 'Use a recovery code' }).click()
      await this.page.getByLabel('Recovery code').fill(proof.recoveryCode)
    } else {
      await this.page.getByLabel('Code from the app').fill(proof.code)
    }
    await this.page.getByRole('main').getByRole('button', { name: 'Continue' }).click()
  }

  async openFromMenu(name: string): Promise<void> {
    await this.page.getByRole('button', { name: 'Your menu' }).click()
    await this.page.getByRole('link', { name }).click()
  }

  async seeHeading(name: string | RegExp): Promise<void> {
    await this.page.getByRole('heading', { level: 1, name }).waitFor()
  }

  /** The edge may answer with what it knew a second ago, and a page does not ask again by itself. */
  async reloadUntilSeen(part: Locator): Promise<void> {
    await eventually(async () => {
      await this.page.reload()
      await part.waitFor({ timeout: 2_000 })
    })
  }

  /** Keeps the page as it looks on a phone and on a desktop, and sees that nothing sticks out of it, nor on a tablet. */
  async photograph(name: string): Promise<void> {
    await mkdir(artefacts, { recursive: true })
    await this.page.evaluate('document.fonts.ready')
    for (const [size, viewport] of Object.entries({ phone, tablet, desktop })) {
      await this.page.setViewportSize(viewport)
      await this.page.evaluate('scrollTo(0, 0)')
      const path = join(artefacts, `${name}-${size}.png`)
      if (viewport !== tablet) await this.page.screenshot({ path, fullPage: true, animations: 'disabled' })
      const overflow = await this.page.evaluate('document.documentElement.scrollWidth - innerWidth')
      if (Number(overflow) > 0) throw new Error(`${name} is ${String(overflow)} px wider than a ${size}.`)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close()
    if (this.#complaints.length > 0) throw new Error(`The page complained: ${this.#complaints.join('; ')}`)
  }
}
