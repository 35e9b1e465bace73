import { cacheDirectory, findProgram } from '@saas/devstack'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { chromium, type Browser } from 'playwright-core'

const UNPACK_TIMEOUT_MS = 120_000
const installed = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']

interface BrowserProgram {
  readonly executablePath: string
  readonly environment: Readonly<Record<string, string>>
}

/**
 * A real Chromium without a window: the one that CHROME_PATH names, an installed one, or the one that the npm package
 * carries, unpacked once into the clone's cache.
 */
export async function launchBrowser(): Promise<Browser> {
  const { executablePath, environment } = await findBrowser()
  return await chromium.launch({
    executablePath,
    headless: true,
    env: { ...(process.env as Record<string, string>), ...environment },
    // Chromium's own sandbox refuses root, and containers often lack what it needs. It only ever opens our own pages.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--font-render-hinting=none'],
  })
}

async function findBrowser(): Promise<BrowserProgram> {
  const chosen = process.env['CHROME_PATH']
  if (chosen !== undefined && chosen !== '') return { executablePath: chosen, environment: {} }
  for (const name of installed) {
    const executablePath = findProgram(name)
    if (executablePath !== undefined) return { executablePath, environment: {} }
  }
  return await unpackedBrowser()
}

/**
 * The package unpacks into the system's temporary folder, which other clones and killed runs share. A child process does
 * it in a draft folder instead, which takes its place in the cache when it is whole.
 */
async function unpackedBrowser(): Promise<BrowserProgram> {
  const directory = join(cacheDirectory, 'chromium-153')
  if (!existsSync(directory)) {
    await mkdir(cacheDirectory, { recursive: true })
    const draft = await mkdtemp(`${directory}-`)
    // The variable makes the package unpack the libraries that a bare container lacks as well.
    const env = { ...process.env, TMPDIR: draft, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x' }
    const carrier = import.meta.resolve('@sparticuz/chromium')
    const script = `await (await import(${JSON.stringify(carrier)})).default.executablePath()`
    const options = { env, timeout: UNPACK_TIMEOUT_MS }
    await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], options)
    await writeFile(join(draft, 'fonts/fonts.conf'), fontConfiguration(directory))
    try {
      await rename(draft, directory)
    } catch {
      // Another run was faster; theirs is the same.
      await rm(draft, { recursive: true, force: true })
    }
  }
  const libraries = [join(directory, 'al2023/lib'), process.env['LD_LIBRARY_PATH'] ?? '']
  return {
    executablePath: join(directory, 'chromium'),
    environment: {
      FONTCONFIG_PATH: join(directory, 'fonts'),
      LD_LIBRARY_PATH: libraries.filter((path) => path !== '').join(':'),
    },
  }
}

function fontConfiguration(directory: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${directory}/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${directory}/fonts-cache</cachedir>
</fontconfig>
`
}
