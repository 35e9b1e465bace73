import { join } from 'node:path'
import { createServer } from 'vite'
import { expect, test } from 'vitest'

test('a page that is reloaded in development is the page, also where a module has its name', async () => {
  const server = await createServer({
    configFile: join(import.meta.dirname, '../vite.config.ts'),
    cacheDir: join(import.meta.dirname, '../node_modules/.vite-test'),
    optimizeDeps: { noDiscovery: true },
    server: { host: '127.0.0.1', port: 0, hmr: false, ws: false },
    logLevel: 'error',
  })
  try {
    await server.listen()
    const url = server.resolvedUrls?.local[0]
    const answer = await fetch(`${url}basket`, { headers: { accept: 'text/html,*/*;q=0.8' } })
    expect(answer.headers.get('content-type')).toMatch(/^text\/html/)
    expect(await answer.text()).toContain('<!doctype html>')
    const module = await fetch(`${url}basket.ts`)
    expect(module.headers.get('content-type')).toMatch(/javascript/)
  } finally {
    await server.close()
  }
})
