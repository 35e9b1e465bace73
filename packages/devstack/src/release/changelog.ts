/** What the changelog says of a version: its section without the heading. @throws {Error} when there is none or it is empty. */
export function releaseNotes(changelog: string, version: string): string {
  const sections = changelog.split(/^## /m)
  const section = sections.find((text) => text.startsWith(`${version} `) || text.startsWith(`[${version}]`))
  const notes = section?.slice(section.indexOf('\n')).trim() ?? ''
  if (notes === '')
    throw new Error(`CHANGELOG.md says nothing of ${version}: give it a section "## ${version} - <date>".`)
  return notes
}
