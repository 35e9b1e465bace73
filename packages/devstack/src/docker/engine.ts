import { findProgram, run } from '../fetch/run.ts'

const ENGINE_TIMEOUT_MS = 3_000

/** What keeps Docker from being used here, as the end of a sentence; undefined when nothing does. */
export async function whatDockerLacks({
  isComposeNeeded,
}: {
  readonly isComposeNeeded: boolean
}): Promise<string | undefined> {
  if (findProgram('docker') === undefined) return 'there is no docker program'
  const succeeds = async (...arguments_: string[]): Promise<boolean> =>
    run('docker', arguments_, { timeoutMs: ENGINE_TIMEOUT_MS }).then(
      () => true,
      () => false,
    )
  const [engine, plugin] = await Promise.all([
    succeeds('info', '--format', '{{.ServerVersion}}'),
    isComposeNeeded ? succeeds('compose', 'version') : true,
  ])
  if (!engine) return 'no Docker engine answers'
  if (!plugin) return 'docker has no compose plugin (version 2)'
  return undefined
}
