import prefresh from '@prefresh/vite'
import { join } from 'node:path'
import { defineConfig, type Plugin } from 'vite'

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

/**
 * `vite build` writes `dist/`, which src/main.ts serves. `vite --port N --host 127.0.0.1 --strictPort` is the page with
 * hot reload; the edge stands in front of it at the shop's own root, so links, cookies and API calls are the real ones.
 */
export default defineConfig({
  root: join(here, 'web'),
  cacheDir: join(here, 'node_modules/.vite'),
  // It asks Vite for @prefresh/core and /utils by name, which is why they are dependencies here.
  plugins: [pagesFirst, await prefresh()],
  // Vite's own transformer turns JSX into calls; the preset for Preact does it with Babel, whose loading was half of the start.
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: join(here, 'dist'),
    emptyOutDir: true,
    target: 'es2023',
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
