import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const TEST_TIMEOUT_MS = 60_000
/** The first hooks start whole shops, all at once. */
const HOOK_TIMEOUT_MS = 120_000

/** Of each workspace package. */
const packages = ['packages', 'services', 'test'].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'package.json')))
    .map((name) => ({
      name: folder === 'test' ? `test-${name}` : name,
      tests: folder === 'test' ? `test/${name}/**/*.test.ts` : `${folder}/${name}/test/**/*.test.ts`,
    })),
)

/**
 * A package that has tests is a project: `vitest run --project orders`. The whole run is none, because a process works for one project only: its
 * three would be ended and started for each of twenty, and each would load, compile and warm up again what all of them use.
 */
const isByProject = process.argv.some((argument) => argument.startsWith('--project'))

/** More than twelve seconds each, the longest first: what begins last should end soon. */
const longest = [
  'services/auth/test/enumeration.test.ts',
  'test/chaos/kill.test.ts',
  'packages/state/test/outages.test.ts',
  'test/charts/lifecycle.test.ts',
  'test/journeys/factors.test.ts',
  'test/journeys/shopping.test.ts',
  'test/journeys/ordering.test.ts',
  'test/chaos/readiness.test.ts',
  'test/edge/differential.test.ts',
  'services/notifications/test/failover.test.ts',
  'test/journeys/accounts.test.ts',
  'test/edge/traefik.test.ts',
  'packages/state/test/database.test.ts',
  'services/notifications/test/schedules.test.ts',
  'services/notifications/test/optional-mails.test.ts',
  'test/journeys/account-life.test.ts',
  'services/notifications/test/scheduled-mails.test.ts',
  'test/journeys/managing.test.ts',
  'packages/state/test/versions.test.ts',
  'test/chaos/stop.test.ts',
  'services/auth/test/revocation.test.ts',
  'packages/state/test/replicated.test.ts',
  'test/journeys/operating.test.ts',
  'test/charts/nats.test.ts',
  'test/chaos/model.test.ts',
]

for (const file of longest) if (!existsSync(file)) throw new Error(`${file} is named as a long test and is not there`)

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = longest.findIndex((file) => moduleId.endsWith(file))
      return at === -1 ? longest.length : at
    }
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  test: {
    ...(isByProject
      ? { projects: packages.map(({ name, tests }) => ({ extends: true as const, test: { name, include: [tests] } })) }
      : { include: packages.map(({ tests }) => tests), sequence: { sequencer: LongestFirst } }),
    // Once a run: the servers that all test files share.
    globalSetup: './packages/testing/src/global-setup.ts',
    pool: 'forks',
    // The files that a process runs share its modules: evaluating them anew for each was a fifth of the whole run.
    isolate: false,
    maxWorkers: 3,
    // What was compiled once is kept, also for the services that tests start as processes, as `pnpm dev` does.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, '.devstack/cache/modules') },
    testTimeout: TEST_TIMEOUT_MS,
    hookTimeout: HOOK_TIMEOUT_MS,
    reporters: ['verbose'],
  },
})
