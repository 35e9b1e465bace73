const MARKUP = /(\{[{%][\s\S]*?[%}]\})/
const LAYOUT = /^\{% layout '([^']+)' %\}/
const BLOCK = /\{% block (\w+) %\}([\s\S]*?)\{% endblock %\}/g
const INCLUDE = /\{% (?:include|render) '([^']+)'(?:, ([^%]+?))? %\}/g
const ARGUMENT = /(\w+): ('[^']*'|"[^"]*"|[\w.]+)/g
const STRUCTURE = /\{% (?:layout|block|endblock|include|render|import)\b[^%]*%\}/
const NAMED_VALUE = /^\{\{ (\w+) \}\}$/
const DEPTH_MAX = 5

/** Where templates come from: the text of one by its name. @throws {Error} when there is none. */
export type ReadTemplate = (name: string) => string

/**
 * A template with its layout around it and what it renders in it, as one text: Liquid looks these up, gives each a scope and
 * walks through them with every mail, which was half of the rendering. `escape` is for what a template says of itself in an argument.
 *
 * @throws {Error} for a tag in a form that is not known here.
 */
export function flatTemplate(name: string, read: ReadTemplate, escape: (text: string) => string): string {
  const flat = withIncluded(withLayout(read(name), read), read, escape, 0)
  const [left] = STRUCTURE.exec(flat) ?? []
  if (left !== undefined) throw new Error(`${name} has ${left}, which is not one of the forms a mail may have`)
  return flat
}

/** What stands outside of its blocks counts for nothing. */
function withLayout(template: string, read: ReadTemplate): string {
  const [whole, layout] = LAYOUT.exec(template) ?? []
  if (whole === undefined || layout === undefined) return template
  const blocks = new Map(Array.from(template.matchAll(BLOCK), ([, name = '', body = '']) => [name, body]))
  return read(layout).replaceAll(BLOCK, (_, name: string, body: string) => blocks.get(name) ?? body)
}

function withIncluded(template: string, read: ReadTemplate, escape: (text: string) => string, depth: number): string {
  if (depth > DEPTH_MAX) throw new Error('Templates include each other without end')
  return template.replaceAll(INCLUDE, (_, name: string, list: string | undefined) => {
    const values = new Map(Array.from((list ?? '').matchAll(ARGUMENT), ([, key = '', value = '']) => [key, value]))
    return withIncluded(withArguments(read(name), values, escape), read, escape, depth + 1)
  })
}

/** The markup of what is included, with each argument's value in the place of its name. */
function withArguments(
  template: string,
  values: ReadonlyMap<string, string>,
  escape: (text: string) => string,
): string {
  return template
    .split(MARKUP)
    .map((piece, index) => (index % 2 === 0 ? piece : withValues(piece, values, escape)))
    .join('')
}

function withValues(markup: string, values: ReadonlyMap<string, string>, escape: (text: string) => string): string {
  const value = values.get(NAMED_VALUE.exec(markup)?.[1] ?? '')
  if (value !== undefined && /^['"]/.test(value)) return escape(value.slice(1, -1))
  return markup.replaceAll(/'[^']*'|"[^"]*"|[a-z]\w*(?:\.\w+)*/gi, (name) => {
    const [first = '', ...rest] = name.split('.')
    const replacement = values.get(first)
    return replacement === undefined ? name : [replacement, ...rest].join('.')
  })
}
