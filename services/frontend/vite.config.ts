import prefresh from '@prefresh/vite'
import { fallbackLanguage } from '@saas/contracts'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, type Plugin, type Rolldown } from 'vite'

const here = import.meta.dirname

/** A page comes before the module of the same name: whoever reloads /basket is not to read basket.ts. */
const pagesFirst: Plugin = {
  name: 'pages-first',
  configureServer({ middlewares }) {
    middlewares.use((request, _response, next) => {
      if (request.headers.accept?.includes('text/html') === true) request.url = '/index.html'
      next()
    })
  },
}

interface Words {
  readonly document: Readonly<Record<'description' | 'late' | 'noScript', string>>
  readonly crashed: { readonly reload: string }
}

const TEXTS = join(here, 'web/texts')

/** `index.html` with the words of a language in the places of their names. */
async function inLanguage(html: string, language: string): Promise<string> {
  const { texts } = (await import(join(TEXTS, language, 'index.ts'))) as { readonly texts: Words }
  const words: Readonly<Record<string, string>> = { language, loadAgain: texts.crashed.reload, ...texts.document }
  return html.replaceAll(/\{\{(\w+)\}\}/g, (_place, name: string) => {
    const said = words[name]
    if (said === undefined) throw new Error(`index.html has {{${name}}}, for which ${language} has no words.`)
    return said
  })
}

/** Texts of their own come beside the script that asks for them, not after it. */
function preload(bundle: Rolldown.OutputBundle, language: string): string {
  const entry = join(TEXTS, language, 'index.ts')
  const texts = Object.values(bundle).find((file) => file.type === 'chunk' && file.facadeModuleId === entry)
  return texts === undefined ? '' : `  <link rel="modulepreload" crossorigin href="/${texts.fileName}">\n  `
}

/** What the document says by itself, once a language: `index.html` is in the one for whoever has none of them, `index.de.html` in German. */
const documents: Plugin = {
  name: 'documents',
  transformIndexHtml: {
    order: 'pre',
    handler: async (html, { server }) => (server === undefined ? html : await inLanguage(html, fallbackLanguage)),
  },
  generateBundle: {
    order: 'post',
    async handler(_options, bundle) {
      const file = bundle['index.html']
      if (file?.type !== 'asset') throw new Error('The build has no document.')
      const html = String(file.source)
      for (const language of readdirSync(TEXTS)) {
        const source = (await inLanguage(html, language)).replace('</head>', `${preload(bundle, language)}</head>`)
        if (language === fallbackLanguage) file.source = source
        else this.emitFile({ type: 'asset', fileName: `index.${language}.html`, source })
      }
    },
  },
}

/**
 * The oldest browsers that the pages run in. Scripts and styles are rewritten to what these understand, `light-dark()` for one; functions are not:
 * AbortSignal.any decides for Safari and Chromium, popovers for Firefox. What is newer may only make a page nicer.
 */
const browsers = ['safari17.4', 'ios17.4', 'firefox125', 'chrome116']

/**
 * `vite build` writes `dist/`, which src/main.ts serves. `vite --port N --host 127.0.0.1 --strictPort` is the page with
 * hot reload; the edge stands in front of it at the shop's own root, so links, cookies and API calls are the real ones.
 */
export default defineConfig({
  root: join(here, 'web'),
  cacheDir: join(here, 'node_modules/.vite'),
  // It asks Vite for @prefresh/core and /utils by name, which is why they are dependencies here.
  plugins: [pagesFirst, documents, await prefresh()],
  // Vite's own transformer turns JSX into calls; the preset for Preact does it with Babel, whose loading was half of the start.
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: join(here, 'dist'),
    emptyOutDir: true,
    target: browsers,
    // The content security policy allows no data: scripts, styles or fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      // The contract's modules only declare: what a page does not use of them is left out.
      treeshake: { moduleSideEffects: [{ test: /packages\/contracts\/|\/typebox\//, sideEffects: false }] },
    },
  },
  server: {
    // Without host and port the browser connects back to where it loaded the page from: the edge.
    hmr: { path: '/@hmr' },
  },
})
