import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const template = readFileSync(join(import.meta.dirname, 'inbox.html'), 'utf8')

/** The inbox page and the policy it is sent with: only its own script runs, whatever a mail holds. */
export function inboxPage(): { readonly html: string; readonly policy: string } {
  const nonce = randomBytes(16).toString('base64')
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    "style-src 'unsafe-inline'",
    "connect-src 'self'",
    "frame-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]
  return { html: template.replace('{{nonce}}', nonce), policy: policy.join('; ') }
}
