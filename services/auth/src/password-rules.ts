import { readFileSync } from 'node:fs'
import { PASSWORD_CHARACTERS_MIN, ProblemError, problems, type FieldError } from '@saas/contracts'

const WORD_CHARACTERS_MIN = 3
/** A password of so few known words and digits is among the first that are tried. */
const KNOWN_WORDS_MAX = 3
const DIGITS_MAX = 8
const DISTINCT_CHARACTERS_MIN = 6

/** Made for this project: what the published lists of common passwords are put together from, one a line. */
const commonWords: ReadonlySet<string> = new Set(
  readFileSync(new URL('common-passwords.txt', import.meta.url), 'utf8')
    .split('\n')
    .map(fold)
    .filter(Boolean),
)

/** What people type in a row when they are asked for something long. */
const rows = [
  'abcdefghijklmnopqrstuvwxyz',
  '01234567890',
  'qwertyuiop',
  'qwertzuiop',
  'asdfghjkl',
  'zxcvbnm',
  'yxcvbnm',
  '1q2w3e4r5t6y7u8i9o0p',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p',
]
const runs: ReadonlySet<string> = new Set(
  rows.flatMap((row) => [row, row.split('').reverse().join('')]).flatMap((run) => piecesOf(run)),
)

/** Whose password it is to be. */
export interface PasswordOwner {
  readonly email: string
  readonly name: string
}

/**
 * Refuses a password that is short, common, or made of its owner's address or name. No rules of composition, as NIST SP
 * 800-63B-4 asks: any characters will do.
 *
 * @throws {ProblemError} `weak-password`, pointing at `pointer`.
 */
export function refuseWeakPassword(password: string, owner: PasswordOwner, pointer: string): void {
  const weakness = weaknessOf(password, owner)
  if (weakness === undefined) return
  throw new ProblemError(problems.weakPassword, { detail: weakness.detail, errors: [{ pointer, ...weakness }] })
}

/** What is weak about it, as a sentence for its owner; `undefined` when nothing is. */
export function weaknessOf(password: string, owner: PasswordOwner): Omit<FieldError, 'pointer'> | undefined {
  if (Array.from(password).length < PASSWORD_CHARACTERS_MIN) {
    return {
      detail: `The password must have at least ${PASSWORD_CHARACTERS_MIN} characters.`,
      code: 'too-short',
      limit: PASSWORD_CHARACTERS_MIN,
    }
  }
  const folded = fold(password)
  if (new Set(password.toLowerCase()).size < DISTINCT_CHARACTERS_MIN)
    return { detail: 'The password uses too few different characters.', code: 'password-monotonous' }
  if (isMadeOf(folded, ownWords(owner))) {
    return { detail: 'The password must not be your address or your name.', code: 'password-own' }
  }
  if (isMadeOf(folded, commonWords)) {
    return { detail: 'The password is one of the most common ones.', code: 'password-common' }
  }
  return isMadeOf(folded, new Set([...ownWords(owner), ...commonWords]))
    ? {
        detail: 'The password must not be your address or your name with something common added.',
        code: 'password-own',
      }
    : undefined
}

/** In lower case without spaces and punctuation: how two spellings of one password look alike. */
function fold(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll('@', 'a')
    .replaceAll('$', 's')
    .replaceAll(/[\s!-/:-@[-`{-~]/g, '')
}

function ownWords({ email, name }: PasswordOwner): Set<string> {
  const words = [email, ...email.split(/[@.+_-]/), name, ...name.split(/\s+/)].map(fold)
  return new Set(words.filter((word) => word.length >= WORD_CHARACTERS_MIN))
}

/** All that can be cut out of a text, and is long enough to count. */
function piecesOf(text: string): string[] {
  const pieces: string[] = []
  for (let start = 0; start < text.length; start += 1) {
    for (let end = start + WORD_CHARACTERS_MIN; end <= text.length; end += 1) pieces.push(text.slice(start, end))
  }
  return pieces
}

/** How a text was cut so far. */
interface Cut {
  readonly words: ReadonlySet<string>
  readonly digits: number
}

/**
 * Whether the text can be cut into a few different words, a few digits, and runs of the alphabet or keyboard. Only the best cut up to each
 * place is kept, and only pieces as long as some word or run are looked at, so the work is the length of the text times some forty lengths:
 * anybody may send any password, and nothing is counted before it is judged.
 */
function isMadeOf(text: string, words: ReadonlySet<string>): boolean {
  const lengths = [...new Set([...runs, ...words].map((piece) => piece.length))].toSorted((a, b) => a - b)
  const withLetters = plainLetters(text)
  const best: (Cut | undefined)[] = [{ words: new Set(), digits: 0 }]
  const reach = (end: number, cut: Cut): void => {
    if (cut.words.size > KNOWN_WORDS_MAX || cut.digits > DIGITS_MAX) return
    const known = best[end]
    if (known === undefined || cost(cut) < cost(known)) best[end] = cut
  }
  for (let start = 0; start < text.length; start += 1) {
    const cut = best[start]
    if (cut === undefined) continue
    if (/\p{Number}/u.test(text.charAt(start))) reach(start + 1, { ...cut, digits: cut.digits + 1 })
    for (const length of lengths) {
      const end = start + length
      if (end > text.length) break
      const piece = text.slice(start, end)
      if (runs.has(piece)) reach(end, cut)
      const word = [piece, withLetters.slice(start, end)].find((spelling) => words.has(spelling))
      if (word !== undefined) reach(end, { ...cut, words: new Set([...cut.words, word]) })
    }
  }
  return text !== '' && best[text.length] !== undefined
}

function cost({ words, digits }: Cut): number {
  return words.size * (DIGITS_MAX + 1) + digits
}

/** Reads digits that stand for letters as those letters. */
function plainLetters(text: string): string {
  const letters: Readonly<Record<string, string>> = { '0': 'o', '1': 'i', '3': 'e', '4': 'a', '5': 's', '7': 't' }
  return text.replaceAll(/[013457]/g, (digit) => letters[digit] ?? digit)
}
