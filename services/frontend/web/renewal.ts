import { pages } from '@saas/contracts'
import { Unanswered } from './send.ts'

const ANSWER_TIMEOUT_MS = 15_000

/** Whether the shop has other scripts by now than those that run in this tab: it is from before an upgrade. False while that cannot be found out. */
export async function isOutdated(): Promise<boolean> {
  const current = await currentDocument()
  return current !== undefined && ownScripts().every((path) => !current.includes(path))
}

/** Loads everything again. While the shop does not answer that would only show the browser's page of trouble: Unanswered is thrown instead. */
export async function renew(): Promise<void> {
  if ((await currentDocument()) === undefined) throw new Unanswered('The document did not come.')
  location.reload()
}

/** Undefined when it does not come. */
async function currentDocument(): Promise<string | undefined> {
  try {
    const answer = await fetch(pages.shop, { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) })
    return answer.ok ? await answer.text() : undefined
  } catch {
    return undefined
  }
}

function ownScripts(): readonly string[] {
  return [...document.scripts].filter(({ src }) => src !== '').map(({ src }) => new URL(src).pathname)
}
