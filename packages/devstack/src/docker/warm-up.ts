import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { parseEnv } from 'node:util'

const START_TIMEOUT_MS = 60_000
const PROBE_INTERVAL_MS = 50
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const PLACEHOLDER = 'replace-with-32-random-bytes-in-base64url'
/** 32 bytes in base64url. It opens nothing: nobody can reach the process that has it. */
const KEY = 'A'.repeat(43)

/** What of `@saas/pictures` is used, which is there in images of services that have pictures. */
interface Pictures {
  readonly PictureDecoder: new () => AsyncDisposable & { render(file: Buffer, rendering: object): Promise<unknown> }
}

/**
 * In the Dockerfile: starts the service in its own image, with nothing that it depends on, until it answers, and stops it. What
 * Node compiled on the way stays in its cache. Fails here, and not in production, when the image lacks a module or a library,
 * when the service cannot start, or when it does not end on SIGTERM as it should.
 */
async function warmUp(exampleFile: string): Promise<void> {
  const environment = { ...process.env, ...exampleEnvironment(readFileSync(exampleFile, 'utf8')) }
  const start = (program: string, output: 'inherit' | 'ignore') =>
    spawn(process.execPath, [program], { env: environment, stdio: ['ignore', output, output] })
  const service = start('src/main.ts', 'inherit')
  const ended = once(service, 'exit') as Promise<[number | null, string | null]>
  const answering = untilAnswering(`http://127.0.0.1:${process.env['OPS_PORT']}/readyz`)
  await Promise.race([answering, ended.then(([code]) => Promise.reject(new Error(`It ended with ${code}.`)))])
  service.kill('SIGTERM')
  const [code] = await ended
  if (code !== 0) throw new Error(`It ended with ${code} when it was told to stop.`)
  if (existsSync('node_modules/@saas/pictures')) await decodePicture()
  // Finds no Postgres, which says nothing about the image.
  if (existsSync('src/migrate.ts')) await once(start('src/migrate.ts', 'ignore'), 'exit')
}

/** A picture of one pixel, by the process that a service starts for its pictures. */
async function decodePicture(): Promise<void> {
  const { PictureDecoder } = (await import(
    pathToFileURL(resolve('node_modules/@saas/pictures/src/index.ts')).href
  )) as Pictures
  await using decoder = new PictureDecoder()
  await decoder.render(Buffer.from(PIXEL, 'base64'), { sizes: { small: 1 }, fit: 'square' })
}

/** `.env.example` with keys that parse, and one for each service. */
function exampleEnvironment(text: string): Record<string, string | undefined> {
  const keys = ['auth', 'products', 'orders', 'notifications'].map((service) => `${service}=${KEY}`).join(',')
  return { ...parseEnv(text.replaceAll(PLACEHOLDER, KEY)), INTERNAL_TOKEN_KEYS: keys, CONN_TIMEOUT: '1' }
}

/** Ready or not: without its servers it says 503, and by then it has loaded what it needs. */
async function untilAnswering(url: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS
  while (!(await fetch(url).catch(() => undefined))) {
    if (Date.now() > deadline) throw new Error(`It did not answer within ${START_TIMEOUT_MS / 1000} s.`)
    await delay(PROBE_INTERVAL_MS)
  }
}

if (import.meta.main) await warmUp(process.argv[2] ?? '')
