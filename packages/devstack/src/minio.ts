import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname } from 'node:path'
import { minioBinary } from './fetch/minio-binary.ts'
import { cloneDirectory } from './locations.ts'

/** What services ask of an object store, and the pictures that they keep in it. */
const contract = [
  'packages/state/test/object-store.test.ts',
  'services/auth/test/profile.test.ts',
  'services/products/test/pictures.test.ts',
]

/**
 * `pnpm minio`: runs the tests of the object store against a real MinIO instead of the small server that `pnpm test` starts.
 * Without Go there is none to be had, which is said and is no failure.
 */
const program = await minioBinary()
if (program === undefined) {
  process.stdout.write('Go is not installed, so there is no MinIO: its contract was not tried.\n')
} else {
  const path = `${dirname(program)}${delimiter}${process.env['PATH'] ?? ''}`
  const child = spawn('vitest', ['run', ...contract, ...process.argv.slice(2)], {
    cwd: cloneDirectory,
    env: { ...process.env, PATH: path, SAAS_OBJECT_STORE: 'minio' },
    stdio: 'inherit',
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  process.exitCode = code ?? 1
}
