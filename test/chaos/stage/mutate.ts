import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import type { Mutation } from './mutation.ts'

/**
 * Loaded before a service (`node --import`): changes lines of its source as they are read. So a proof shortens a wait, or
 * takes a guard away, of a program that knows nothing of it.
 */
const mutations = JSON.parse(process.env['CHAOS_MUTATIONS'] ?? '[]') as Mutation[]

registerHooks({
  load: (url, context, nextLoad) => {
    const wanted = mutations.filter(({ file }) => url.endsWith(`/${file}`))
    if (wanted.length === 0) return nextLoad(url, context)
    let source = readFileSync(new URL(url), 'utf8')
    for (const { file, from, to } of wanted) {
      // One that no longer applies would prove nothing.
      if (!source.includes(from)) throw new Error(`${file} has no line ${from}`)
      source = source.replaceAll(from, to)
    }
    return { ...nextLoad(url, context), source }
  },
})
