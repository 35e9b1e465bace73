import { serviceNames } from '@saas/contracts'
import { run } from '@saas/devstack'
import { describe, expect, test } from 'vitest'

const IMAGE_BYTES_MAX = 200_000_000
/** Docker itself takes ten seconds until it stops waiting and kills. */
const PROMPT_MS = 4_000
const TEST_TIMEOUT_MS = 120_000

const docker = async (...arguments_: string[]): Promise<string> => (await run('docker', arguments_)).trim()

/** Runs with `pnpm compose:test`, on the images that `pnpm images` has built. */
describe.runIf(process.env['SHOP'] === 'containers')('an image', { timeout: TEST_TIMEOUT_MS }, () => {
  test.for(serviceNames)('%s is small, runs as nobody’s user and has no shell', async (service) => {
    const image = `saas/${service}:latest`
    const format = '{{.Size}} {{.Config.User}}'
    const [bytes, user] = (await docker('image', 'inspect', '--format', format, image)).split(' ')
    expect(Number(bytes)).toBeLessThan(IMAGE_BYTES_MAX)
    expect(user).toBe('10001:10001')
    const list = `import { globSync } from 'node:fs'; console.log(JSON.stringify(globSync('{,usr/,usr/local/}{bin,sbin}/*', { cwd: '/' })))`
    const confined = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges']
    const programs = await docker('run', '--rm', ...confined, image, '--input-type=module', '--eval', list)
    expect(JSON.parse(programs).toSorted()).toEqual(['usr/bin/node', 'usr/bin/tini'])
  })

  test.for(serviceNames)('%s carries a bill of all that is in it', async (service) => {
    const print = `import { readFileSync } from 'node:fs'; console.log(readFileSync('/sbom.cdx.json', 'utf8'))`
    const text = await docker('run', '--rm', `saas/${service}:latest`, '--input-type=module', '--eval', print)
    const { specVersion, components } = JSON.parse(text)
    expect(specVersion).toBe('1.6')
    const purls = components.map(({ purl }: { purl: string }) => purl.replace(/@.*/, ''))
    expect(purls).toEqual(
      expect.arrayContaining(['pkg:npm/fastify', 'pkg:generic/node', 'pkg:deb/debian/libc6', 'pkg:deb/debian/tini']),
    )
  })

  test('that is told to stop before it listens for it ends at once, with the code of the signal', async () => {
    // As while Node loads modules, but for ever: it never comes to listen.
    const busy = ['saas/orders:latest', '--eval', 'console.log("loading"); for (;;);']
    const container = await docker('run', '--detach', ...busy)
    try {
      await expect.poll(() => docker('logs', container), { timeout: 20_000 }).toContain('loading')
      const began = performance.now()
      await docker('stop', container)
      expect(performance.now() - began).toBeLessThan(PROMPT_MS)
      expect(await docker('inspect', '--format', '{{.State.ExitCode}}', container)).toBe('143')
    } finally {
      await docker('rm', '--force', container)
    }
  })
})
