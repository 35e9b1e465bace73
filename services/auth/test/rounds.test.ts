import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Rounds } from '../src/rounds.ts'

/** Calls that end when they are told to. */
function calls(rounds: Rounds, count: number) {
  const started: number[] = []
  const answered: string[] = []
  const works = Array.from({ length: count }, () => Promise.withResolvers<undefined>())
  const taken = works.map(async ({ promise }, index) => {
    const work = async (): Promise<undefined> => {
      started.push(index)
      return await promise
    }
    const outcome = await rounds.take(work).then(
      () => 'done',
      (error: unknown) => (error as Error).message,
    )
    answered.push(`${index} ${outcome}`)
  })
  return { started, answered, works, taken: Promise.all(taken) }
}

test('who leaves nobody waiting is answered at once', async () => {
  const { started, answered, works } = calls(new Rounds({ atOnceMax: 2, waitingMax: 8, togetherMax: 4 }), 2)
  works[1]?.resolve(undefined)
  await turn()
  expect({ started, answered }).toEqual({ started: [0, 1], answered: ['1 done'] })
})

test('those who waited are answered together, and no place stays empty for it', async () => {
  const { started, answered, works } = calls(new Rounds({ atOnceMax: 1, waitingMax: 8, togetherMax: 2 }), 6)
  works[0]?.resolve(undefined)
  await turn()
  // The first had found nobody waiting; the second works and has others behind it.
  expect({ started, answered }).toEqual({ started: [0, 1], answered: ['0 done'] })
  works[1]?.resolve(undefined)
  await turn()
  expect({ started, answered }).toEqual({ started: [0, 1, 2], answered: ['0 done'] })
  works[2]?.resolve(undefined)
  await turn()
  expect({ started, answered }).toEqual({ started: [0, 1, 2, 3], answered: ['0 done', '1 done', '2 done'] })
})

test('the last ones wait for nobody who does not come', async () => {
  const { answered, works, taken } = calls(new Rounds({ atOnceMax: 2, waitingMax: 8, togetherMax: 4 }), 7)
  for (const { resolve } of works) resolve(undefined)
  await taken
  expect(answered.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6].map((index) => `${index} done`))
})

test('no more are answered together than the limit says, however many work at once', async () => {
  const { started, answered, works } = calls(new Rounds({ atOnceMax: 3, waitingMax: 8, togetherMax: 2 }), 9)
  for (const index of [0, 1, 2]) works[index]?.resolve(undefined)
  await turn()
  expect(started).toEqual([0, 1, 2, 3, 4, 5])
  works[5]?.resolve(undefined)
  works[3]?.resolve(undefined)
  await turn()
  expect(answered).toEqual(['0 done', '1 done', '2 done'])
  works[4]?.resolve(undefined)
  await turn()
  expect(answered.slice(3).toSorted()).toEqual(['3 done', '4 done'])
})

test('who fails holds nobody up, and too many are told to come later', async () => {
  const { answered, works, taken } = calls(new Rounds({ atOnceMax: 1, waitingMax: 2, togetherMax: 2 }), 4)
  await turn()
  expect(answered).toEqual(['3 Too many wait for their turn'])
  works[0]?.resolve(undefined)
  works[1]?.reject(new Error('no'))
  works[2]?.resolve(undefined)
  await taken
  expect(answered.slice(1)).toEqual(['0 done', '1 no', '2 done'])
})
