import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run, sopsBinary } from '@saas/devstack'
import { newDirectory } from '@saas/testing'
import { beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { parsed, runHelm, umbrella } from './helm.ts'
import { secretValues } from './objects.ts'

const example = join(umbrella, 'examples/sops')
const encrypted = join(example, 'values.sops.yaml')
let sops: string | undefined

beforeAll(async () => {
  sops = await sopsBinary()
})

async function decrypt(file: string, key = join(example, 'throw-away.agekey')): Promise<string> {
  return await run(String(sops), ['--disable-version-check', 'decrypt', file], {
    environment: { SOPS_AGE_KEY_FILE: key, HOME: example, PATH: process.env['PATH'] ?? '' },
  })
}

test('the example says nothing to who has no key', () => {
  const text = readFileSync(encrypted, 'utf8')
  const { global, sops: said } = parse(text) as { global: { secrets: { seed: string } }; sops: { age: unknown[] } }
  expect(global.secrets.seed).toMatch(/^ENC\[AES256_GCM,/)
  expect(said.age).toHaveLength(1)
})

test('the real sops decrypts it, and the chart installs with what comes out', async ({ skip }) => {
  if (sops === undefined) skip('sops is neither installed nor to be had here')
  const values = await decrypt(encrypted)
  const { seed } = (parse(values) as { global: { secrets: { seed: string } } }).global.secrets
  expect(seed).toMatch(/^[0-9a-f]{64}$/)
  const render = async () => await runHelm(4, ['template', 'saas', umbrella, '--values', '-'], values)
  const [once, again] = await Promise.all([render(), render()])
  expect(again).toBe(once)
  expect(once).not.toContain(seed)
  expect(secretValues(parsed(once))['saas-orders']?.['nats-password']).toMatch(/^p[0-9a-f]{31}$/)
})

test('another key does not open it, and a changed byte is noticed', async ({ skip }) => {
  if (sops === undefined) skip('sops is neither installed nor to be had here')
  const directory = newDirectory('sops')
  const other = join(directory, 'other.agekey')
  await writeFile(other, 'AGE-SECRET-KEY-1QQPQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ\n')
  await expect(decrypt(encrypted, other)).rejects.toThrow(/sops/)
  const changed = join(directory, 'values.sops.yaml')
  const text = readFileSync(encrypted, 'utf8')
  await writeFile(
    changed,
    text.replace(/(data:.)(.)/, (_, before: string, letter: string) => before + (letter === 'A' ? 'B' : 'A')),
  )
  await expect(decrypt(changed)).rejects.toThrow(/sops/)
})
