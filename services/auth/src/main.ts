import { allRoutes, authEvents, authRoutes, operatorRoutes } from '@saas/contracts'
import {
  createApp,
  listen,
  operatorHandlers,
  registerRoutes,
  runService,
  type App,
  type RunningService,
  type ServiceContext,
} from '@saas/http'
import { PictureDecoder } from '@saas/pictures'
import { State } from '@saas/state'
import { AccessTokens } from './access-token.ts'
import { AccountDeletion } from './account-deletion.ts'
import { AccountRequests } from './account-requests.ts'
import { Accounts } from './accounts.ts'
import { Administration } from './administration.ts'
import { Audit } from './audit.ts'
import { Avatars } from './avatars.ts'
import { authVariables, refuseMissingKeys, type AuthConfig } from './config.ts'
import { DataExports } from './data-export.ts'
import { DataKey } from './data-key.ts'
import { Authenticators } from './factors/authenticators.ts'
import { FactorChanges } from './factors/factor-changes.ts'
import { FactorReset } from './factors/factor-reset.ts'
import { Factors } from './factors/factors.ts'
import { PasskeyChallenges } from './factors/passkey-challenges.ts'
import { PasskeySignIn } from './factors/passkey-sign-in.ts'
import { Passkeys } from './factors/passkeys.ts'
import { PendingSignIns } from './factors/pending-sign-ins.ts'
import { Reauthentication } from './factors/reauthentication.ts'
import { RecoveryCodes } from './factors/recovery-codes.ts'
import { SecondFactors } from './factors/second-factors.ts'
import { EmailChanges } from './email-change.ts'
import { Gate } from './gate.ts'
import { PasswordHashing } from './hashing.ts'
import { authJobs } from './jobs.ts'
import { MailedSecrets } from './mailed-secrets.ts'
import { Departures } from './oidc/departures.ts'
import { Identities } from './oidc/identities.ts'
import { ProviderSignIn } from './oidc/provider-sign-in.ts'
import { Passwords } from './passwords.ts'
import { PlainSignIn } from './plain-sign-in.ts'
import { Policy } from './policy.ts'
import { Preferences } from './preferences.ts'
import { Reproofs } from './reproof.ts'
import { RefusalLog } from './refusal-log.ts'
import { Registrations } from './registration.ts'
import { Revocations } from './revocations.ts'
import { authHandlers } from './routes.ts'
import { SessionTransport } from './session-transport.ts'
import { Sessions } from './sessions.ts'
import { SignIn } from './sign-in.ts'
import { SigningKeys } from './signing-keys.ts'
import { Throttle } from './throttle.ts'
import { UnprovenAccounts } from './unproven-accounts.ts'

export async function startAuth(config: AuthConfig, context: ServiceContext): Promise<RunningService> {
  refuseMissingKeys(config)
  await using resources = new AsyncDisposableStack()
  const state = resources.use(State.connect(config, { service: 'auth', ...context }))
  const { logger, clock } = context
  const { database, bus, objects } = state
  const keys = new DataKey({ ...config, database, clock, logger })
  // Whoever is not ready yet answers 503; a database that is away keeps nobody from starting.
  await keys.open().catch(() => undefined)
  const basics = { database, bus, clock, logger, keys }

  const signingKeys = new SigningKeys({ ...basics, dataKey: keys })
  const accessTokens = new AccessTokens(signingKeys, clock, config.publicUrl)
  const revocations = new Revocations(database, clock)
  const throttle = new Throttle(database, clock, keys)
  const hashing = resources.use(new PasswordHashing())
  const accounts = new Accounts({ ...basics, throttle })
  const secrets = new MailedSecrets({ ...basics, ...config, throttle })
  const requests = resources.use(new AccountRequests({ ...basics, secrets }))
  const audit = new Audit(basics)
  const sessions = new Sessions({ ...basics, accessTokens, audit, revocations })
  const decoder = resources.use(new PictureDecoder({ memoryMaxMiB: config.pictureMemoryMiB }))
  const avatars = new Avatars({ ...basics, objects, decoder, throttle })
  const refusals = new RefusalLog(basics)
  const gate = new Gate({ policy: new Policy(allRoutes), accessTokens, revocations, refusals, ...config, clock })

  const authenticators = new Authenticators({ keys, publicUrl: config.publicUrl })
  const recoveryCodes = new RecoveryCodes(keys)
  const challenges = new PasskeyChallenges(database, clock)
  const passkeys = new Passkeys({ ...basics, challenges, publicUrl: config.publicUrl })
  const secondFactors = new SecondFactors({ authenticators, recoveryCodes, passkeys })
  const reproofs = new Reproofs({ ...basics, hashing, secrets, throttle, secondFactors })
  const changes = new FactorChanges({ ...basics, audit, revocations, secondFactors, recoveryCodes })
  const identities = new Identities(database)
  const parts = { authenticators, recoveryCodes, passkeys, identities, secondFactors, changes }
  const factors = new Factors({ ...basics, ...parts, throttle })
  const dataExports = new DataExports({ ...basics, accounts, audit, factors, sessions, throttle })
  const pendingSignIns = new PendingSignIns({ ...basics, audit, secondFactors, sessions, throttle })
  const plain = new PlainSignIn({ ...basics, audit, sessions, throttle })

  const app = createApp({
    service: 'auth',
    routes: { ...authRoutes, ...operatorRoutes('auth') },
    ...context,
    internalTokenKeys: config.internalTokenKeysByService.get('auth') ?? [],
    shortcut: { route: authRoutes.authz, answer: (request, response) => gate.answerAtOnce(request, response) },
    state,
    checks: { keys: () => signingKeys.check(), revocations: () => revocations.check() },
  })
  registerRoutes(
    app,
    authRoutes,
    authHandlers({
      accounts,
      administration: new Administration({ ...basics, audit, hashing, revocations, throttle, ...config }),
      audit,
      avatars,
      dataExports,
      deletion: new AccountDeletion({ ...basics, accounts, audit, reproofs, revocations, secrets }),
      emailChanges: new EmailChanges({
        ...basics,
        accounts,
        audit,
        reproofs,
        requests,
        revocations,
        secrets,
        throttle,
      }),
      factors,
      factorReset: new FactorReset({ ...basics, audit, revocations }),
      passkeySignIn: new PasskeySignIn({ ...basics, passkeys, sessions, throttle }),
      gate,
      passwords: new Passwords({ ...basics, accounts, audit, hashing, reproofs, secrets, revocations, throttle }),
      preferences: new Preferences({ ...basics, accounts, throttle, ...config }),
      pendingSignIns,
      providerSignIn: new ProviderSignIn({
        ...basics,
        audit,
        secrets,
        throttle,
        departures: new Departures({ ...basics, publicUrl: config.publicUrl }),
        identities,
        pending: pendingSignIns,
        changes,
        providers: config.oidcProviders,
        publicUrl: config.publicUrl,
      }),
      reauthentication: new Reauthentication({
        ...basics,
        accounts,
        hashing,
        secrets,
        throttle,
        secondFactors,
        changes,
      }),
      registrations: new Registrations({ ...basics, requests, hashing, secrets, throttle }),
      sessions,
      signIn: new SignIn({
        ...basics,
        accounts,
        audit,
        requests,
        hashing,
        secrets,
        pending: pendingSignIns,
        plain,
        throttle,
      }),
      signingKeys,
      transport: new SessionTransport(config.publicUrl),
      trustedHops: config.trustedHops,
    }),
  )
  registerRoutes(app, operatorRoutes('auth'), operatorHandlers(bus))
  if (config.edge === 'envoy') serveEnvoy(app, gate)

  const unprovenAccounts = new UnprovenAccounts(basics)
  const jobs = authJobs({ ...basics, avatars, refusals, revocations, signingKeys, unprovenAccounts })
  for (const job of [jobs.revocations, ...jobs.others]) resources.use(job).start()
  resources.use(bus.subscribe([authEvents.sessionRevoked, authEvents.userChanged], () => jobs.revocations.nudge()))
  dataExports.follow()
  bus.startRelay()
  requests.start()

  return await listen(app, config, resources)
}

/** Envoy asks with the original method, at the original path behind a prefix. */
function serveEnvoy(app: App, gate: Gate): void {
  app.fastify.all('/authz/*', { config: { route: authRoutes.authz } }, async (request, reply) => {
    await gate.authorise(request, reply)
    return reply
  })
}

if (import.meta.main) await runService({ name: 'auth', variables: authVariables, start: startAuth })
