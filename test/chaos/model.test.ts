import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { brokenPromises, Ledger, readStream } from './checkers/index.ts'
import { commandsOf } from './model/commands.ts'
import { Run } from './model/run.ts'
import { startSystem, type System } from './model/system.ts'
import { drained } from './stage/evidence.ts'
import { chaosSeed, sized } from './stage/size.ts'

/** So many runs go on at once, over the same services. */
const CONCURRENT_RUNS = sized(4, 8)
const ROUNDS = sized(1, Number(process.env['CHAOS_ROUNDS'] ?? 125))
const COMMANDS_MIN = 50
const TIMEOUT_MS = sized(120_000, 3_600_000)

const rounds = fc.array(commandsOf(COMMANDS_MIN), { minLength: CONCURRENT_RUNS, maxLength: CONCURRENT_RUNS })

let system: System
const ledger = new Ledger()
beforeAll(async () => {
  system = await startSystem()
})
afterAll(async () => {
  await system[Symbol.asyncDispose]()
})

test(
  'whatever several clients do, and whatever is lost, repeated or restarted meanwhile, the shop does what the model says',
  {
    timeout: TIMEOUT_MS,
  },
  async () => {
    const outcome = await fc.check(
      fc.asyncProperty(rounds, async (round) => {
        const problems = await Promise.all(round.map((commands) => Run.of(commands, system, ledger)))
        if (problems.flat().length > 0) throw new Error(problems.flat().join('\n'))
      }),
      { numRuns: ROUNDS, endOnFailure: true, seed: chaosSeed() },
    )
    // The commands of a round fill pages; the seed brings them back.
    const { errorInstance } = outcome
    const told = errorInstance instanceof Error ? errorInstance.stack : String(errorInstance)
    const failure = outcome.failed ? told : ''
    expect(failure, `CHAOS_SEED=${outcome.seed}`).toBe('')
    await drained(system)
    const evidence = { ledger, databases: system.databases, stream: await readStream(system.bus) }
    expect(await brokenPromises(evidence)).toBe('')
  },
)
