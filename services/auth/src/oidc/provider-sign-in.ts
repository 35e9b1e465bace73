import type { Clock, OidcProvider } from '@saas/config'
import { ProblemError, problems, type ProviderAnswer, type SecondFactorDue } from '@saas/contracts'
import type { Logger } from '@saas/http'
import type { Bus, Database, Transaction } from '@saas/state'
import { emit, userChanged } from '../account-events.ts'
import type { Account } from '../account.ts'
import { proveAddress } from '../address-proof.ts'
import type { Audit } from '../audit.ts'
import type { Client } from '../client.ts'
import { factorChanged } from '../factors/second-factors.ts'
import type { Caller, FactorChanges } from '../factors/factor-changes.ts'
import type { PendingSignIns } from '../factors/pending-sign-ins.ts'
import type { MailedSecrets } from '../mailed-secrets.ts'
import type { OpenSession } from '../sessions.ts'
import type { Throttle } from '../throttle.ts'
import type { Departures } from './departures.ts'
import { nameFor, type Identities } from './identities.ts'
import { ProviderClient, type ProvidedIdentity } from './provider-client.ts'

export interface Departure {
  readonly url: string
  readonly cookie: string
}

interface ProviderSignInContext {
  readonly database: Database
  readonly bus: Pick<Bus, 'nudge'>
  readonly clock: Clock
  readonly audit: Audit
  readonly logger: Logger
  readonly secrets: MailedSecrets
  readonly throttle: Throttle
  readonly departures: Departures
  readonly identities: Identities
  readonly pending: PendingSignIns
  readonly changes: FactorChanges
  readonly providers: readonly OidcProvider[]
  readonly publicUrl: string
}

/** Signing in with an account at an OpenID provider, and linking one. */
export class ProviderSignIn {
  readonly #context: ProviderSignInContext
  readonly #clients: ReadonlyMap<string, ProviderClient>

  constructor(context: ProviderSignInContext) {
    this.#context = context
    this.#clients = new Map(context.providers.map((provider) => [provider.id, new ProviderClient(provider, context)]))
  }

  get providers(): { id: string; name: string }[] {
    return [...this.#clients.values()].map(({ provider: { id, name } }) => ({ id, name }))
  }

  /** @throws {ProblemError} `not-found`, `too-many-requests`, `dependency-unavailable` */
  async depart(provider: string, client: Client): Promise<Departure> {
    await this.#context.throttle.take('challenge', client.network, client.network)
    return await this.#begin(provider, null)
  }

  /** @throws {ProblemError} `wrong-token`, `provider-refused`, `identity-not-linked`, `identities-full`, `account-disabled`, `dependency-unavailable` */
  async arrive(
    provider: string,
    answer: ProviderAnswer,
    cookies: string | undefined,
    client: Client,
    traceParent: string,
  ): Promise<OpenSession | SecondFactorDue> {
    const identity = await this.#identityIn(provider, answer, cookies, null)
    const outcome = await this.#context.database.transaction(async (tx) => {
      const known = await this.#context.identities.ownerOf(tx, identity, this.#context.clock.now())
      const account = known ?? (await this.#adopt(tx, provider, identity, client, traceParent))
      if (account.disabledAt !== null) throw new ProblemError(problems.accountDisabled)
      return await this.#context.pending.openOrAsk(tx, account, client, traceParent)
    })
    this.#context.bus.nudge()
    return outcome
  }

  /** @throws {ProblemError} `not-found`, `reauthentication-required`, `too-many-requests`, `dependency-unavailable` */
  async departToLink(provider: string, caller: Caller, client: Client): Promise<Departure> {
    await this.#context.throttle.take('challenge', caller.userId, client.network)
    await this.#context.changes.require(caller)
    return await this.#begin(provider, caller.userId)
  }

  /** @throws {ProblemError} `wrong-token`, `provider-refused`, `identity-taken`, `identities-full`, `reauthentication-required`, `dependency-unavailable` */
  async link(provider: string, answer: ProviderAnswer, cookies: string | undefined, caller: Caller): Promise<void> {
    const identity = await this.#identityIn(provider, answer, cookies, caller.userId)
    await this.#context.changes.make(caller, async (change) => {
      const { tx, account, now } = change
      const owner = await this.#context.identities.ownerOf(tx, identity, now)
      if (owner?.id === account.id) return
      if (owner !== undefined) throw new ProblemError(problems.identityTaken)
      await this.#context.identities.link(tx, account.id, provider, identity, now)
      await this.#context.changes.tell(change, { factor: 'identity', change: 'added', label: this.#nameOf(provider) })
    })
  }

  /** @throws {ProblemError} `not-found`, `reauthentication-required` */
  async unlink(id: string, caller: Caller): Promise<void> {
    await this.#context.changes.make(caller, async (change) => {
      const provider = await this.#context.identities.unlink(change.tx, change.account.id, id)
      if (provider === undefined) throw new ProblemError(problems.notFound)
      const what = { factor: 'identity', change: 'removed', label: this.#nameOf(provider) } as const
      await this.#context.changes.unlinked(change, what)
    })
  }

  get forgotten(): string {
    return this.#context.departures.forgotten
  }

  /**
   * Somebody whom nobody here knows yet. Their address counts only where the operator trusts the provider with addresses; then it opens the customer's account
   * that has the same address, or a new one. Whoever has more to lose links by hand.
   */
  async #adopt(
    tx: Transaction,
    provider: string,
    identity: ProvidedIdentity,
    client: Client,
    traceParent: string,
  ): Promise<Account> {
    const { email, isEmailVerified, name, language = client.language } = identity
    const isTrusted = this.#clientOf(provider).provider.trustEmail && isEmailVerified
    if (!isTrusted || email === null) throw new ProblemError(problems.identityNotLinked)
    const now = this.#context.clock.now()
    const present = await this.#context.identities.byEmail(tx, email)
    const found =
      present ??
      (await this.#context.identities.newAccount(tx, { email, name, language }, now)) ??
      (await this.#context.identities.byEmail(tx, email))
    // Of two first sign-ins at once the other has linked it by now, as its lock is free.
    const linked = await this.#context.identities.ownerOf(tx, identity, now)
    if (linked !== undefined) return linked
    if (found === undefined || found.roles.join() !== 'customer') throw new ProblemError(problems.identityNotLinked)
    if (found.disabledAt !== null) throw new ProblemError(problems.accountDisabled)
    const account = found.verifiedAt === null ? await this.#prove(tx, found, name, now) : found
    await this.#context.identities.link(tx, account.id, provider, identity, now)
    const change = { factor: 'identity', change: 'added', label: this.#nameOf(provider) } as const
    const { id: accountId } = account
    await this.#context.audit.record(tx, { action: 'factor-added', accountId, byId: accountId, client, detail: change })
    const isNews = present?.verifiedAt instanceof Date
    await emit(tx, account.id, [isNews ? factorChanged(account, change, now) : userChanged(account)], traceParent)
    return account
  }

  /** The provider has proven the address, so a stranger who registered it before keeps nobody out, and no password of theirs is left. */
  async #prove(tx: Transaction, account: Account, given: string | null, now: Date): Promise<Account> {
    const proof = { accountId: account.id, registrationId: null, name: nameFor(given, account.email) }
    const proven = await proveAddress(tx, proof, now)
    if (proven === undefined) throw new ProblemError(problems.identityNotLinked)
    await this.#context.secrets.voidVerifications(tx, proven)
    return proven
  }

  async #begin(provider: string, accountId: string | null): Promise<Departure> {
    const { url, exchange } = await this.#clientOf(provider).depart()
    return { url, cookie: await this.#context.departures.begin(provider, exchange, accountId) }
  }

  async #identityIn(
    provider: string,
    answer: ProviderAnswer,
    cookies: string | undefined,
    accountId: string | null,
  ): Promise<ProvidedIdentity> {
    const client = this.#clientOf(provider)
    const exchange = await this.#context.departures.take(provider, answer.state, accountId, cookies)
    return await client.arrive(answer, exchange)
  }

  #nameOf(provider: string): string {
    return this.#clients.get(provider)?.provider.name ?? provider
  }

  #clientOf(provider: string): ProviderClient {
    const client = this.#clients.get(provider)
    if (client === undefined) throw new ProblemError(problems.notFound)
    return client
  }
}
