import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fallbackLanguage } from '@saas/contracts'
import { cloneDirectory } from '../locations.ts'

/** What the page says, out of the texts that the front end has anyway. */
interface Words {
  readonly tryAgain: string
  readonly failure: { readonly page: string; readonly unavailable: string }
}

const TEXTS = join(cloneDirectory, 'services/frontend/web/texts')
/** What nginx takes as one word. */
const WORD_BYTES_MAX = 4_000

// The front end's colours and shapes, with what every machine has for a font: nothing is loaded.
const style = `
:root{color-scheme:light dark}
body{margin:0;min-height:100dvh;display:grid;place-items:center;background:light-dark(#f6f8f6,#0f1c1f);color:light-dark(#12272b,#e8f0ee);font:400 1rem/1.55 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{box-sizing:border-box;max-width:36rem;padding:2rem 1.25rem;overflow-wrap:anywhere}
svg{width:3rem;height:3rem;fill:light-dark(#0b4a4f,#d3f26a)}
h1{margin:1rem 0;font-size:clamp(1.75rem,1.3rem + 2.4vw,2.75rem);line-height:1.1;letter-spacing:-.03em}
a{display:inline-block;margin-top:.5rem;padding:.75rem 1.5rem;border-radius:999px;background:light-dark(#0b4a4f,#d3f26a);color:light-dark(#fff,#10211f);font-weight:600;text-decoration:none}
a:focus-visible{outline:3px solid light-dark(#12272b,#e8f0ee);outline-offset:3px}`.replaceAll('\n', '')

/**
 * `unavailable.conf`: the page for people while no service answers, in every language of the front end's texts, and the policy under
 * which it may have its one style. nginx keeps it in memory, so it needs nothing that could be away.
 */
export async function unavailablePages(): Promise<string> {
  const names = readdirSync(TEXTS).toSorted()
  const pages = await Promise.all(
    names.map(async (name) => {
      const { texts } = (await import(join(TEXTS, name, 'index.ts'))) as { readonly texts: Words }
      return [name, quoted(page(name, texts))] as const
    }),
  )
  const fallback = pages.find(([name]) => name === fallbackLanguage)?.[1]
  if (fallback === undefined) throw new Error(`${TEXTS} has no folder ${fallbackLanguage}`)
  // The first of the reader's tags that is one of these; what stands before it is none.
  const others = pages.filter(([name]) => name !== fallbackLanguage)
  const any = names.join('|')
  const lines = others.map(([name, text]) => `'~*^(?:(?!\\s*(?:${any})\\b)[^,]*,)*\\s*${name}\\b' ${text};`)
  const hash = createHash('sha256').update(style).digest('base64')
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
  return `# Generated from the texts of services/frontend by \`pnpm generate\`. Do not edit.

map $http_accept_language $unavailable_page {
  default ${fallback};
${lines.map((line) => `  ${line}\n`).join('')}}

map '' $unavailable_policy {
  default "${policy}";
}
`
}

function page(language: string, { tryAgain, failure }: Words): string {
  return [
    `<!doctype html><html lang="${language}"><head><meta charset="utf-8">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${failure.page} · saas</title><style>${style}</style></head>`,
    '<body><main><svg viewBox="0 0 64 64" aria-hidden="true"><path d="M8 28a24 24 0 0 1 48 0zM56 36a24 24 0 0 1-48 0z"/></svg>',
    `<h1>${failure.page}</h1><p>${failure.unavailable}</p><a href="">${tryAgain}</a></main></body></html>`,
  ].join('')
}

/** @throws {Error} when nginx would read it as something else. */
function quoted(text: string): string {
  if (/[$\\\n]/.test(text)) throw new Error(`nginx reads more than text in ${text}`)
  if (Buffer.byteLength(text) > WORD_BYTES_MAX) throw new Error(`nginx takes ${WORD_BYTES_MAX} bytes, not ${text}`)
  return `'${text.replaceAll("'", String.raw`\'`)}'`
}
