import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

const TEST_TIMEOUT_MS = 60_000
const HOOK_TIMEOUT_MS = 60_000

/** One project a workspace package that has tests: `vitest run --project orders`. */
const projects = ['packages', 'services', 'test'].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'package.json')))
    .map((name) => ({
      extends: true as const,
      test: {
        name: folder === 'test' ? `test-${name}` : name,
        include: [folder === 'test' ? `test/${name}/**/*.test.ts` : `${folder}/${name}/test/**/*.test.ts`],
      },
    })),
)

export default defineConfig({
  test: {
    projects,
    // Once a run: the servers that all test files share.
    globalSetup: './packages/testing/src/global-setup.ts',
    pool: 'forks',
    // The files that a process runs share its modules: evaluating them anew for each was a fifth of the whole run.
    isolate: false,
    maxWorkers: 3,
    testTimeout: TEST_TIMEOUT_MS,
    hookTimeout: HOOK_TIMEOUT_MS,
    reporters: ['verbose'],
  },
})
