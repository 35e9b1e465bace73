import type { Preview } from './preview.ts'

/** One document with every mail as a phone and a desk show it; each in a sandbox, without scripts. */
export function previewPage(previews: readonly Preview[]): string {
  const kinds = [...new Set(previews.map(({ kind }) => kind))]
  const sections = kinds.map((kind) => {
    const mails = previews.filter((preview) => preview.kind === kind)
    return `<section id="${kind}"><h2>${kind}</h2>${mails.map(article).join('')}</section>`
  })
  const links = kinds.map((kind) => `<a href="#${kind}">${kind}</a>`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Mails</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { margin: 0 auto; padding: 2rem 1rem 6rem; max-width: 1180px; }
  nav { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; }
  h2 { margin: 3rem 0 0; }
  h3 { margin: 1.5rem 0 0.5rem; font-weight: 600; }
  .sizes { display: flex; flex-wrap: wrap; gap: 1rem; }
  iframe { height: 640px; max-width: 100%; border: 1px solid #8886; border-radius: 12px; background: Canvas; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: 1rem; border: 1px solid #8886; border-radius: 12px; }
</style>
</head>
<body>
<h1>Mails</h1>
<nav>${links.join('')}</nav>
${sections.join('')}
</body>
</html>
`
}

function article({ kind, language, subject, html, text }: Preview): string {
  const frame = (width: number): string =>
    `<iframe sandbox width="${width}" title="${language}/${kind}, ${width} pixels" srcdoc="${escape(html)}" loading="lazy"></iframe>`
  return `<article lang="${language}"><h3>${language}: ${escape(subject)}</h3><div class="sizes">${frame(375)}${frame(720)}</div><details><summary>Text</summary><pre>${escape(text)}</pre></details></article>`
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
