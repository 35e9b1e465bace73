import { parseOptions, type Options } from '@node-rs/argon2'
import { availableParallelism } from 'node:os'
import { HashingThreads } from './hashing-threads.ts'

/** argon2id (the library's default) with 19 MiB, two passes and one lane, as OWASP's password storage sheet asks for. */
const parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const satisfies Options

/** How every hash with these parameters begins. */
const PREFIX = `$argon2id$v=19$m=${parameters.memoryCost},t=${parameters.timeCost},p=${parameters.parallelism}$`

/**
 * The hash of an account without a password: nothing is known to hash to zeros. It costs as much to try as any other, so
 * nobody learns from the time that there is none.
 */
export const NO_PASSWORD = `${PREFIX}${base64(16)}$${base64(32)}`

function base64(zeros: number): string {
  return Buffer.alloc(zeros).toString('base64').replaceAll('=', '')
}

/** Each holds 19 MiB while it works. */
const THREADS_MAX = 4
/** At about 20 ms a hash the last of them waits for half a second. */
const WAITING_MAX = 48

/** Hashes and verifies passwords, a bounded number at once; beyond a bounded queue callers are told to come later. */
export class PasswordHashing implements AsyncDisposable {
  readonly #threads = new HashingThreads({
    threadsMax: Math.min(availableParallelism(), THREADS_MAX),
    waitingMax: WAITING_MAX,
  })

  /** @throws {ProblemError} `dependency-unavailable` when too many wait already. */
  async hash(password: string): Promise<string> {
    return String(await this.#threads.run({ password: normalized(password), parameters }))
  }

  /**
   * Whether the password is the one that was hashed. Without a hash, because there is no such account, the same work is
   * done for nothing.
   */
  async verify(passwordHash: string | undefined, password: string): Promise<boolean> {
    const expected = passwordHash ?? NO_PASSWORD
    const answer = await this.#threads.run({ password: normalized(password), passwordHash: expected })
    return answer === true && passwordHash !== undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads[Symbol.asyncDispose]()
  }
}

/** Whether the hash was made with weaker parameters than we use now. */
export function isOutdated(passwordHash: string): boolean {
  if (passwordHash.startsWith(PREFIX)) return false
  const { memoryCost, timeCost } = parseOptions(passwordHash)
  return !passwordHash.startsWith('$argon2id$') || memoryCost < parameters.memoryCost || timeCost < parameters.timeCost
}

/** One password typed on two keyboards may come in two Unicode forms (NIST SP 800-63B-4, 3.1.1.2). */
function normalized(password: string): string {
  return password.normalize('NFKC')
}
