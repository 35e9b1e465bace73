import { expect, test } from 'vitest'
import { imageSbom, type Sbom } from '../src/docker/image-sbom.ts'

const root = 'pkg:npm/%40saas/orders@0.1.0'
const pino = { type: 'library', name: 'pino', version: '10.4.0', purl: 'pkg:npm/pino@10.4.0', 'bom-ref': 'pino' }
const libc =
  'Package: libc6\nStatus: install ok installed\nArchitecture: arm64\nSource: glibc\nVersion: 2.36-9+deb12u14\n'

function listed(serialNumber: string): Sbom {
  return {
    serialNumber,
    metadata: { timestamp: new Date().toISOString(), component: { 'bom-ref': root } },
    components: [pino],
    dependencies: [{ ref: root, dependsOn: ['pino'] }],
  }
}

test('the bill of an image names Node and the Debian packages besides what pnpm lists', () => {
  const { components, dependencies } = imageSbom(listed('urn:uuid:1'), '24.21.0', [libc])
  const purls = ['pkg:npm/pino@10.4.0', 'pkg:generic/node@24.21.0', 'pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=arm64']
  expect(components.map(({ purl }) => purl)).toEqual(purls)
  expect(dependencies).toEqual([{ ref: root, dependsOn: ['pino', ...purls.slice(1)] }])
})

test('two bills of the same image are equal', () => {
  const bills = ['urn:uuid:1', 'urn:uuid:2'].map((serial) =>
    JSON.stringify(imageSbom(listed(serial), '24.21.0', [libc])),
  )
  expect(bills[0]).toBe(bills[1])
})

test('a status file that is none stops the build', () => {
  expect(() => imageSbom(listed('urn:uuid:1'), '24.21.0', ['nonsense'])).toThrow(/no entry of dpkg/)
})
