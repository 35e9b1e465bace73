/** A plain page in the colours of the mailbox. `body` is HTML; what goes into it passes through `escaped`. */
export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<link rel="icon" href="/favicon-32x32.png">
<style>
  :root { color-scheme: light dark; --ground: light-dark(#f6f7f9, #14161a); --sheet: light-dark(#fff, #1c1f25);
    --ink: light-dark(#1b1e24, #e8eaee); --soft: light-dark(#5d6675, #9aa3b2); --line: light-dark(#e3e6eb, #2c313a);
    --accent: light-dark(#4f46e5, #a5a0ff); }
  body { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 5rem; background: var(--ground); color: var(--ink);
    font: 16px/1.6 system-ui, sans-serif; }
  h1 { margin: 0 0 .25rem; font-size: 1.75rem; line-height: 1.2; }
  h2 { margin: 0; font-size: 1.05rem; overflow-wrap: anywhere; }
  a { color: var(--accent); }
  .lead, dt, th { color: var(--soft); }
  section, .card { margin: 1rem 0; padding: 1.1rem 1.25rem; background: var(--sheet); border: 1px solid var(--line);
    border-radius: .7rem; }
  .card { display: block; color: inherit; text-decoration: none; }
  .card:hover { border-color: var(--accent); }
  .card strong { display: block; color: var(--accent); }
  p { margin: .3rem 0; }
  dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem .9rem; margin: .6rem 0; }
  dd { margin: 0; }
  table { width: 100%; border-collapse: collapse; font-size: .92rem; }
  th, td { padding: .3rem .7rem .3rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
  th { font-weight: normal; }
  code, pre { font-family: ui-monospace, monospace; font-size: .88em; }
  pre { margin: .6rem 0 0; padding: .8rem; overflow-x: auto; background: var(--ground); border-radius: .5rem; }
  summary { cursor: pointer; color: var(--soft); }
  nav ul { columns: 2; padding-left: 1.1rem; }
  @media (max-width: 40rem) { nav ul { columns: 1; } }
</style>
</head>
<body>
${body}
</body>
</html>
`
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
