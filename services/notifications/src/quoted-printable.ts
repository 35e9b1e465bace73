/** Of RFC 2045, with the `=` of a soft line break. */
const LINE_LENGTH_MAX = 76
const LINE_END = /\r?\n/
const SOFT_BREAK = '=\r\n'
// Short, and every character stands for itself. Not a dot at the beginning, which SMTP would double.
const PLAIN_LINE = /^(?!\.)(?:[!-<>-~](?:[ -<>-~]{0,73}[!-<>-~])?)?$/
const LITERAL = /^[\t -<>-~]$/

/**
 * Text as it stands in a mail: lines end with CRLF and are short, and none begins with a dot, so that a server is sent the very
 * bytes.
 */
export function encodeText(text: string): string {
  return text.split(LINE_END).map(encodeLine).join('\r\n')
}

/**
 * A piece of a text, so that pieces one after the other are the text: each begins and ends at the beginning of a line, by a soft
 * break where the text has none. What is the same in every mail is encoded once by this, and only values with each mail.
 */
export function encodePiece(piece: string): string {
  if (PLAIN_LINE.test(piece)) return piece === '' ? '' : piece + SOFT_BREAK
  const lines = piece.split(LINE_END)
  const last = lines.pop() ?? ''
  const ended = lines.map((line) => `${encodeLine(line)}\r\n`).join('')
  return last === '' ? ended : `${ended}${wrap(last)}${SOFT_BREAK}`
}

/** The line breaks at both ends taken away, soft or hard. */
export function withoutBreaksAround(encoded: string): string {
  let [start, end] = [0, encoded.length]
  while (encoded.startsWith('\r\n', start)) start += 2
  while (end - 2 >= start && encoded.startsWith('\r\n', end - 2)) {
    end -= end - 3 >= start && encoded.startsWith('=', end - 3) ? 3 : 2
  }
  return encoded.slice(start, end)
}

function encodeLine(line: string): string {
  if (PLAIN_LINE.test(line)) return line
  // A blank at the end of a line gets lost on the way.
  const blank = /[\t ]$/.exec(line)?.[0]
  return blank === undefined ? wrap(line) : `${wrap(line.slice(0, -1), 3)}${escapeCharacter(blank)}`
}

/** With soft breaks where the line would be too long, and so much room on the last one. */
function wrap(line: string, reserved = 0): string {
  let wrapped = ''
  let length = 0
  for (const character of line) {
    let written = LITERAL.test(character) ? character : escapeCharacter(character)
    if (length + written.length > LINE_LENGTH_MAX - SOFT_BREAK.length + 2 - reserved) {
      wrapped += SOFT_BREAK
      length = 0
    }
    if (length === 0 && written === '.') written = '=2E'
    wrapped += written
    length += written.length
  }
  return wrapped
}

function escapeCharacter(character: string): string {
  let escaped = ''
  for (const byte of Buffer.from(character)) escaped += `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
  return escaped
}
