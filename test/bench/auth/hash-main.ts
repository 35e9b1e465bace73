import { verify } from '@node-rs/argon2'

/** Verifies one password again and again, so many at once, and says how many a second that were. */
const { PASSWORD_HASH: hash = '', PASSWORD: password = '', SECONDS, AT_ONCE } = process.env
const startedAtMs = performance.now()
const endsAtMs = startedAtMs + Number(SECONDS) * 1_000
let count = 0
await Promise.all(
  Array.from({ length: Number(AT_ONCE) }, async () => {
    while (performance.now() < endsAtMs) {
      if (!(await verify(hash, password))) throw new Error('The password is not right')
      count += 1
    }
  }),
)
// The last ones end later.
process.stdout.write(String((count * 1_000) / (performance.now() - startedAtMs)))
