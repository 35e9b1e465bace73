import { systemClock } from '@saas/config'
import { fillPath, pages } from '@saas/contracts'
import type { RunningService } from '@saas/http'
import { testLog } from '@saas/testing'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compressBuild, readBuild } from '../src/built-files.ts'
import { startFrontend } from '../src/main.ts'
import { texts as german } from '../web/texts/de/index.ts'
import { texts as english } from '../web/texts/en/index.ts'

const SHOPPERS_SCRIPT_BYTES_MAX = 60_000
const params = { id: '01977c1e-6a00-7000-8000-000000000010', name: 'not-found', provider: 'example' }
const config = {
  listenHost: '127.0.0.1',
  listenPort: 0,
  opsPort: 0,
  publicUrl: 'http://localhost:8080',
  logLevel: 'info',
  connTimeoutSeconds: 5,
  otlpEndpoint: undefined,
  traceShare: 1,
} as const

let directory: string
let frontend: RunningService

const context = { logger: testLog('frontend').logger, clock: systemClock }

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pages-'))
  await build({
    configFile: join(import.meta.dirname, '../vite.config.ts'),
    logLevel: 'warn',
    build: { outDir: directory },
  })
  await compressBuild(directory)
  frontend = await startFrontend(config, context, directory)
})
afterAll(async () => {
  await frontend[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

async function get(url: string, headers: Record<string, string> = {}) {
  return await frontend.app.inject({ method: 'GET', url, headers })
}

/** All that the document asks for at once; the first is the one that starts. */
async function shoppersScripts(): Promise<string[]> {
  const document = await readFile(join(directory, 'index.html'), 'utf8')
  return [...document.matchAll(/(?:src|href)="(\/assets\/[^"]+\.js)"/g)].map(([, path = '']) => path)
}

async function shoppersScript(): Promise<string> {
  return (await shoppersScripts())[0] ?? ''
}

describe('the service', () => {
  test('every page of the contract answers the one document', async () => {
    for (const path of Object.values(pages)) {
      const answer = await get(fillPath(path, params))
      expect([path, answer.statusCode, answer.headers['content-type']]).toEqual([path, 200, 'text/html; charset=utf-8'])
      expect(answer.body).toContain('<div id="app">')
    }
  })

  test.each([
    ['de-AT,de;q=0.9,en;q=0.8', 'de', german],
    ['fr-FR, en-GB;q=0.9, de;q=0.1', 'en', english],
    ['fr', 'en', english],
    ['', 'en', english],
  ])('what the document says by itself is in a language of the reader: %s', async (asked, lang, texts) => {
    const answer = await get('/basket', { 'accept-language': asked })
    expect(answer.body).toContain(`<html lang="${lang}">`)
    for (const said of [...Object.values(texts.document), texts.crashed.reload]) expect(answer.body).toContain(said)
    expect(answer.body).not.toContain('{{')
    expect(answer.headers['vary']).toBe('accept-encoding, accept-language')
    const again = await get('/', { 'accept-language': asked, 'if-none-match': String(answer.headers['etag']) })
    expect(again.statusCode).toBe(304)
  })

  test('the policy allows nothing inline and nothing from elsewhere, and the document has neither', async () => {
    const answer = await get('/')
    const policy = String(answer.headers['content-security-policy'])
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toMatch(/unsafe|https?:|\*/)
    expect(answer.body).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|(?:src|href)="(?!\/|")/)
  })

  test('assets are immutable; the document is asked for each time and answered with 304', async () => {
    const asset = await get(await shoppersScript())
    expect(asset.headers['cache-control']).toBe('public, max-age=31536000, immutable')
    const document = await get('/')
    expect(document.headers['cache-control']).toBe('no-cache')
    const again = await get('/', { 'if-none-match': String(document.headers['etag']) })
    expect([again.statusCode, again.body]).toEqual([304, ''])
  })

  test('text is sent compressed to those who accept it, each encoding under an ETag of its own', async () => {
    const url = await shoppersScript()
    const plain = await get(url)
    const br = await get(url, { 'accept-encoding': 'gzip, deflate, br' })
    const gzip = await get(url, { 'accept-encoding': 'gzip;q=0.5, br;q=0' })
    expect([br.headers['content-encoding'], gzip.headers['content-encoding']]).toEqual(['br', 'gzip'])
    expect(brotliDecompressSync(br.rawPayload)).toEqual(plain.rawPayload)
    expect(gunzipSync(gzip.rawPayload)).toEqual(plain.rawPayload)
    expect(new Set([plain, br, gzip].map(({ headers }) => headers['etag'])).size).toBe(3)
    expect(br.headers['vary']).toBe('accept-encoding')
  })

  test('what was compressed when the image was built is not compressed again', async () => {
    const script = (await readdir(directory, { recursive: true })).find((name) => name.endsWith('.js.br')) ?? ''
    const kept = await readFile(join(directory, script))
    await writeFile(join(directory, script), 'another')
    const file = (await readBuild(directory)).get(script.slice(0, -'.br'.length))
    await writeFile(join(directory, script), kept)
    expect(file?.bodies.br?.toString()).toBe('another')
  })

  test('what is not in the build is a problem, and no path leads out of it', async () => {
    for (const url of [
      '/assets/none.js',
      '/assets/..%2findex.html',
      '/assets/..%2f..%2fpackage.json',
      '/package.json',
      '/assets/',
    ]) {
      const answer = await get(url)
      expect([url, answer.statusCode < 500 && answer.statusCode >= 400]).toEqual([url, true])
      expect(answer.headers['content-type']).toContain('application/problem+json')
    }
  })

  test('a build that is missing is said in one sentence', async () => {
    await expect(startFrontend(config, context, join(directory, 'nowhere'))).rejects.toThrow(/pnpm --filter/)
  })

  test('a shopper loads less than 60 kB of script', async () => {
    const scripts = await Promise.all((await shoppersScripts()).map((path) => readFile(join(directory, path))))
    const all = scripts.map(String).join('')
    expect(scripts.length).toBeGreaterThan(1)
    expect(scripts.reduce((bytes, script) => bytes + gzipSync(script).length, 0)).toBeLessThan(
      SHOPPERS_SCRIPT_BYTES_MAX,
    )
    // The office and other languages are somewhere else, and the contract's schemas nowhere.
    expect((await readdir(join(directory, 'assets'))).some((name) => name.startsWith('operate-'))).toBe(true)
    expect([all.includes('In den Warenkorb'), all.includes('Add to basket')]).toEqual([false, true])
    expect(all).not.toContain('additionalProperties:!1,properties')
  })
})
