import { serviceNames } from '@saas/contracts'
import { run } from './fetch/run.ts'
import { cloneDirectory } from './locations.ts'

/** What may be in an image: licences that ask for no more than to be named. */
const allowed = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'MIT-0',
  'OFL-1.1',
  'Unlicense',
])

/** libvips is a library of its own in a file of its own, which anybody may replace: what the LGPL asks for. */
const exceptions: Readonly<Record<string, string>> = { '@img/sharp-libvips': 'LGPL-3.0-or-later' }

interface Listed {
  readonly name: string
  readonly versions: readonly string[]
}

/** `pnpm check`: every npm package that gets into an image has a licence we may pass on. */
async function main(): Promise<number> {
  const services = serviceNames.flatMap((service) => ['--filter-prod', `@saas/${service}...`])
  const output = await run('pnpm', [...services, 'licenses', 'list', '--prod', '--json'], { directory: cloneDirectory })
  const byLicence = JSON.parse(output.slice(output.indexOf('{'))) as Readonly<Record<string, readonly Listed[]>>
  const refused = Object.entries(byLicence).flatMap(([licence, packages]) =>
    packages
      .filter(({ name }) => !isAllowed(licence, name))
      .map(({ name, versions }) => `${name}@${versions.join(', ')} has the licence ${licence}.`),
  )
  if (refused.length === 0) return 0
  process.stderr.write(
    `${refused.join('\n')}\nSay why it may be in an image, in packages/devstack/src/licences.ts, or leave it out.\n`,
  )
  return 1
}

/** SPDX expressions of the simple kinds: one of several, or all of them. */
function isAllowed(licence: string, name: string): boolean {
  const exception = Object.entries(exceptions).find(([prefix]) => name.startsWith(prefix))
  if (exception?.[1] === licence) return true
  const alternatives = licence.replaceAll(/[()]/g, '').split(' OR ')
  return alternatives.some((alternative) => alternative.split(' AND ').every((each) => allowed.has(each)))
}

process.exitCode = await main()
