import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cloneDirectory } from '../locations.ts'

const PREVIEW = join(cloneDirectory, 'services/notifications/src/preview.ts')
const PAGE_BYTES_MAX = 4 * 1024 ** 2
const TIMEOUT_MS = 10_000

/**
 * Every mail as it would look. The service makes the page itself, anew for each request, so that a template that was just
 * changed is seen, and one that is broken says why.
 */
export async function mailsPage(): Promise<{
  readonly status: number
  readonly type: string
  readonly content: string
}> {
  const options = { maxBuffer: PAGE_BYTES_MAX, timeout: TIMEOUT_MS }
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [PREVIEW, '--html'], options)
    return { status: 200, type: 'text/html', content: stdout }
  } catch (error) {
    return { status: 500, type: 'text/plain', content: error instanceof Error ? error.message : String(error) }
  }
}
