import type { Readable } from 'node:stream'
import { optionalMailKinds, ProblemError, problems, wantsMail } from '@saas/contracts'
import type { MailPreferences, OptionalMailKind } from '@saas/contracts'
import { verifyUnsubscribe } from '@saas/http'
import { sql, type Bus, type Database } from '@saas/state'
import type { Clock } from '@saas/config'
import { emit, userChanged } from './account-events.ts'
import { accountColumns, type Account } from './account.ts'
import type { Accounts } from './accounts.ts'
import type { Client } from './client.ts'
import type { Throttle } from './throttle.ts'

// Nothing is written, and nobody told, when all of it was so already.
const mergePreferences = sql<Account>(
  'auth.merge_preferences',
  `update account
   set preferences = preferences || $2::jsonb, updated_at = $3
   where id = $1 and not preferences @> $2::jsonb
   returning ${accountColumns}`,
)

interface PreferencesContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly accounts: Accounts
  readonly throttle: Throttle
  readonly mailSecretKey: Uint8Array
  /** While the other is being replaced. */
  readonly mailSecretKeyAccepted: Uint8Array | undefined
}

/** Which mails people want that they need not get. */
export class Preferences {
  readonly #context: PreferencesContext
  readonly #mailSecretKeys: readonly Uint8Array[]

  constructor(context: PreferencesContext) {
    this.#context = context
    const { mailSecretKey, mailSecretKeyAccepted } = context
    this.#mailSecretKeys = [mailSecretKey, mailSecretKeyAccepted ?? mailSecretKey]
  }

  async of(accountId: string): Promise<MailPreferences> {
    return whole((await this.#context.accounts.byId(accountId)).preferences)
  }

  /** What is not named stays as it is. @throws {ProblemError} `too-many-requests` */
  async change(
    accountId: string,
    given: Partial<MailPreferences>,
    client: Client,
    traceParent: string,
  ): Promise<MailPreferences> {
    await this.#context.throttle.take('profile', accountId, client.network)
    await this.#merge(accountId, given, traceParent)
    return await this.of(accountId)
  }

  /**
   * What a mail program sends at the press of its own button (RFC 8058), and our page too. Whether the account is still
   * there is not said, and a second press changes nothing more.
   *
   * @throws {ProblemError} `wrong-token`, `invalid-request`
   */
  async unsubscribe(token: string, form: Readable | undefined, traceParent: string): Promise<OptionalMailKind> {
    const said = this.#mailSecretKeys.map((key) => verifyUnsubscribe(token, key)).find((found) => found !== undefined)
    if (said === undefined) throw new ProblemError(problems.wrongToken)
    await refuseOtherForm(form)
    await this.#merge(said.userId, { [said.kind]: false }, traceParent)
    return said.kind
  }

  async #merge(accountId: string, given: Partial<MailPreferences>, traceParent: string): Promise<void> {
    await this.#context.database.transaction(async (tx) => {
      const [changed] = await tx.query(mergePreferences, [accountId, JSON.stringify(given), this.#context.clock.now()])
      if (changed !== undefined) await emit(tx, accountId, [userChanged(changed)], traceParent)
    })
    this.#context.bus.nudge()
  }
}

function whole(preferences: Partial<MailPreferences>): MailPreferences {
  const wanted = optionalMailKinds.map((kind) => [kind, wantsMail(preferences, kind)])
  return Object.fromEntries(wanted) as MailPreferences
}

/** The form says one thing, in either of two encodings. What only follows links never sends it. */
async function refuseOtherForm(form: Readable | undefined): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of (form ?? []) as AsyncIterable<Buffer>) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString('latin1')
  const isOneClick =
    new URLSearchParams(text).get('List-Unsubscribe') === 'One-Click' ||
    /name="List-Unsubscribe"[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\nOne-Click\r?\n/.test(text)
  if (isOneClick) return
  throw new ProblemError(problems.invalidRequest, {
    detail: 'The body must be the form List-Unsubscribe=One-Click (RFC 8058).',
  })
}
