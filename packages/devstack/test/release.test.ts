import { execFile } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { serviceNames, type ServiceName } from '@saas/contracts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { helmBinary } from '../src/fetch/helm-binary.ts'
import { cloneDirectory } from '../src/locations.ts'
import { releaseNotes } from '../src/release/changelog.ts'
import { pinCharts } from '../src/release/pin-charts.ts'

const digests = Object.fromEntries(
  serviceNames.map((service, index) => [service, `sha256:${String(index).repeat(64)}`]),
) as Record<ServiceName, string>
const pins = { version: '1.4.0-rc.1', images: 'ghcr.io/acme/shop', digests }

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'release-'))
  cpSync(join(cloneDirectory, 'charts'), join(directory, 'charts'), { recursive: true, verbatimSymlinks: true })
})
afterAll(async () => await rm(directory, { recursive: true }))

describe('the charts of a release', () => {
  test('are packaged whole and run the very images of the release', async () => {
    pinCharts(join(directory, 'charts'), pins)
    const helm = await helmBinary(4)
    const call = async (...arguments_: string[]) =>
      (await promisify(execFile)(helm, arguments_, { cwd: directory })).stdout
    await call('package', 'charts/umbrella')
    const seed = ['--set', `global.secrets.seed=${'s'.repeat(32)}`]
    const manifests = await call('template', 'shop', 'saas-1.4.0-rc.1.tgz', ...seed)
    for (const service of serviceNames) {
      expect(manifests).toContain(`image: ghcr.io/acme/shop/saas-${service}@${digests[service]}\n`)
    }
    expect(manifests).not.toMatch(/image: \S+saas-\w+:/)
    expect(manifests).toContain('app.kubernetes.io/version: "1.4.0-rc.1"')
  })

  test('keep their comments', () => {
    const before = readFileSync(join(cloneDirectory, 'charts/auth/values.yaml'), 'utf8')
    const after = readFileSync(join(directory, 'charts/auth/values.yaml'), 'utf8')
    const comments = (text: string) => text.split('\n').filter((line) => line.trim().startsWith('#'))
    expect(comments(before).length).toBeGreaterThan(0)
    expect(comments(after)).toEqual(comments(before))
  })

  test('are not made without the digest of every image', () => {
    const incomplete = { ...pins, digests: { ...digests, orders: '' } }
    expect(() => pinCharts(join(directory, 'charts'), incomplete)).toThrow(/no digest for the image of orders/)
  })
})

describe('the notes of a release', () => {
  const changelog =
    '# Changelog\n\n## Unreleased\n\n- later\n\n## 1.4.0 - 2026-11-22\n\n- now\n\n## 1.3.0 - 2026-10-01\n\n- before\n'

  test('are what the changelog says of it', () => {
    expect(releaseNotes(changelog, '1.4.0')).toBe('- now')
    expect(releaseNotes(changelog, '1.3.0')).toBe('- before')
  })

  test('are refused where there are none', () => {
    expect(() => releaseNotes(changelog, '1.5.0')).toThrow(/says nothing of 1.5.0/)
    expect(() => releaseNotes(changelog, '1.4')).toThrow(/says nothing/)
  })
})
