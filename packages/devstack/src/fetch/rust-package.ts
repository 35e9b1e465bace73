import { createHash } from 'node:crypto'
import { globSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { cacheDirectory } from '../locations.ts'
import { makeWorkFolder, putInPlace } from './debian-package.ts'
import { findProgram, run } from './run.ts'

/**
 * The folder of a Rust package's files, fetched on first use by cargo and checked against the SHA-256 of its archive. `undefined` when
 * there is no cargo. Throws when there is one and the package cannot be had, or is another one.
 */
export async function rustPackage(
  name: string,
  version: string,
  sha256: string,
  cache = cacheDirectory,
): Promise<string | undefined> {
  const folder = join(cache, `${name}-${version}`)
  if (globSync('Cargo.toml', { cwd: folder }).length > 0) return folder
  const cargo = findProgram('cargo')
  if (cargo === undefined) return undefined
  // Brings the archive into cargo's own cache and builds nothing.
  await run(cargo, ['info', '--quiet', `${name}@${version}`], { directory: cache })
  const home = process.env['CARGO_HOME'] ?? join(homedir(), '.cargo')
  const [archive] = globSync(`registry/cache/*/${name}-${version}.crate`, { cwd: home })
  if (archive === undefined) throw new Error(`cargo brought no ${name} ${version}`)
  const digest = createHash('sha256')
    .update(await readFile(join(home, archive)))
    .digest('hex')
  if (digest !== sha256) throw new Error(`${name} ${version} has the digest ${digest}, not ${sha256}`)
  const work = await makeWorkFolder(folder)
  try {
    await run('tar', ['-xzf', join(home, archive)], { directory: work })
    await putInPlace(join(work, `${name}-${version}`), folder)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return folder
}
