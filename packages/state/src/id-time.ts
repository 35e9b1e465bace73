/**
 * The lowest UUID of version 7 made at this time (RFC 9562 section 5.7: the first 48 bits are milliseconds). Ids below it
 * are older, so a primary key finds rows by age.
 */
export function firstIdAt(milliseconds: number): string {
  const time = Math.max(0, milliseconds).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`
}
