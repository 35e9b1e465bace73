import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { cloneDirectory, helmMajors } from '@saas/devstack'
import { sharedServers } from '@saas/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { parsed, runHelm } from './helm.ts'

interface Dependency {
  readonly name: string
  readonly version: string
  readonly repository: string
}

const readme = readFileSync(join(cloneDirectory, 'charts/platform/README.md'), 'utf8')
const chart = readFileSync(join(cloneDirectory, 'charts/platform/Chart.yaml'), 'utf8')
const { dependencies } = parse(chart) as { dependencies: Dependency[] }

let directory: string
let server: Server
let repository: string

/** The operators' repositories are elsewhere. Here one stands for both, with charts of their names and versions, and nothing of theirs in them. */
beforeAll(async () => {
  directory = mkdtempSync(join(sharedServers().directory, 'platform-'))
  const served = join(directory, 'served')
  mkdirSync(served)
  for (const { name, version } of dependencies) {
    const own = join(directory, name)
    mkdirSync(join(own, 'templates'), { recursive: true })
    writeFileSync(join(own, 'Chart.yaml'), JSON.stringify({ apiVersion: 'v2', name, version }))
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `operator-${name}` } }
    writeFileSync(join(own, 'templates/operator.yaml'), JSON.stringify(object))
    await runHelm(4, ['package', own, '--destination', served])
  }
  server = createServer(({ url = '' }, response) => {
    response.end(readFileSync(join(served, basename(url))))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  repository = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await runHelm(4, ['repo', 'index', served, '--url', repository])
})

afterAll(() => {
  server.close()
})

describe.each(helmMajors)('with Helm %i', (major) => {
  test('the documented commands take both operators’ charts and install the one that is chosen', async () => {
    const platform = join(directory, `with-${major}`)
    cpSync(join(cloneDirectory, 'charts/platform'), platform, { recursive: true, dereference: true })
    // Only where they come from is another place.
    const elsewhere = dependencies.reduce((text, dependency) => text.replace(dependency.repository, repository), chart)
    writeFileSync(join(platform, 'Chart.yaml'), elsewhere)
    expect(readme).toContain('    helm dependency build charts/platform\n')
    await runHelm(major, ['dependency', 'build', platform])
    for (const [chosen, other] of [
      ['cloudnative-pg', 'pgo'],
      ['pgo', 'cloudnative-pg'],
    ] as const) {
      expect(readme).toContain(`--set ${chosen}.enabled=true`)
      const rendered = await runHelm(major, ['template', 'platform', platform, '--set', `${chosen}.enabled=true`])
      const names = parsed(rendered).map(({ metadata }) => metadata.name)
      expect(names).toContain(`operator-${chosen}`)
      expect(names).not.toContain(`operator-${other}`)
    }
    await expect(runHelm(major, ['template', 'platform', platform])).rejects.toThrow(
      'Nothing is chosen: set pgo.enabled',
    )
    await expect(runHelm(major, ['template', 'platform', platform, '--set', 'cnpg.enabled=true'])).rejects.toThrow(
      /cnpg/,
    )
  })

  test('without its dependencies the chart is refused, and Helm says what is missing', async () => {
    const said = runHelm(major, ['template', 'platform', join(cloneDirectory, 'charts/platform')])
    await expect(said).rejects.toThrow(
      /missing in charts\/ directory: pgo, cloudnative-pg|found in Chart.yaml, but missing/,
    )
  })
})
