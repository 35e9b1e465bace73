import { expectTypeOf, test } from 'vitest'
import { registerRoutes, type Answer, type Call } from '../src/index.ts'
import { sampleApp, sampleRoutes } from './sample.ts'

test('handlers are typed by the contract', () => {
  type Read = (typeof sampleRoutes)['read']
  expectTypeOf<Call<Read>['params']>().toEqualTypeOf<{ id: string }>()
  expectTypeOf<Call<Read>['identity']>().toHaveProperty('userId')
  expectTypeOf<Call<(typeof sampleRoutes)['look']>['identity']>().extract<undefined>().toBeUndefined()
  expectTypeOf<{ status: 404 }>().not.toExtend<Answer<Read>>()
})

test('a missing, a surplus and a wrong handler do not compile', () => {
  const { app } = sampleApp()
  const { remove, look } = sampleRoutes
  const register = () => {
    // @ts-expect-error look has no handler
    registerRoutes(app, { remove, look }, { remove: () => ({ status: 204 }) })
    // @ts-expect-error there is no route named extra
    registerRoutes(app, { remove }, { remove: () => ({ status: 204 }), extra: () => ({ status: 204 }) })
    // @ts-expect-error 205 is not in the contract
    registerRoutes(app, { remove }, { remove: () => ({ status: 205 }) })
  }
  expectTypeOf(register).toBeFunction()
})
