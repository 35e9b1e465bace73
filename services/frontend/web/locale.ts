/**
 * The first of the browser's tags that is of this language and that `Intl` can use, else the language alone. A browser that
 * runs in the POSIX locale says `en-US@posix`, at which every formatter throws.
 */
export function localeFor(language: string, tags: readonly string[]): string {
  return tags.find((tag) => tag.split('-')[0] === language && isUsable(tag)) ?? language
}

function isUsable(tag: string): boolean {
  try {
    return Intl.NumberFormat.supportedLocalesOf(tag).length > 0
  } catch {
    return false
  }
}
