import { expect, test } from 'vitest'
import { auth, common, database, envExample } from '../src/index.ts'

test('the example names each variable once with its description', () => {
  const example = envExample({ Every: common, Orders: { ...common, ...database }, Auth: { ...database, ...auth } })
  expect(example.match(/PUBLIC_URL=/g)).toHaveLength(1)
  expect(example.match(/^DATABASE_URL=/gm)).toHaveLength(1)
  expect(example).toContain(
    '# Where people reach the shop, without a trailing slash.\nPUBLIC_URL=http://localhost:8080\n',
  )
})

test('copying the example changes no default', () => {
  expect(envExample({ Every: common })).toContain('# LOG_LEVEL=info')
})
