import { createHash } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeWorkFolder, putInPlace } from './debian-package.ts'
import { run } from './run.ts'

/**
 * Fetches one version of an npm package and unpacks it into a folder, without installing it or what it depends on. It goes
 * through the npm client, so that the registry is the one the machine is set up for. Throws when the archive is not the one
 * the integrity (`sha512-…`, as lockfiles have it) was written for.
 */
export async function unpackNpmPackage(name: string, integrity: string, target: string): Promise<void> {
  const work = await makeWorkFolder(target)
  try {
    await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', work, name], { directory: work })
    const archive = (await readdir(work)).find((file) => file.endsWith('.tgz'))
    if (archive === undefined) throw new Error(`npm packed nothing for ${name}`)
    const found = `sha512-${createHash('sha512')
      .update(await readFile(join(work, archive)))
      .digest('base64')}`
    if (found !== integrity) throw new Error(`${name} has the integrity ${found}, not ${integrity}`)
    await run('tar', ['-xzf', archive], { directory: work })
    await putInPlace(join(work, 'package'), target)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
