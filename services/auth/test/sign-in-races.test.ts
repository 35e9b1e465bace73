import { authRoutes } from '@saas/contracts'
import { eventually, type TestService } from '@saas/testing'
import { createLogger } from '@saas/http'
import { Database, sql, type Transaction } from '@saas/state'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PASSWORD, newUser, startedAuth } from './fixtures.ts'

let auth: TestService
beforeAll(async () => {
  auth = await startedAuth()
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

const login = async (email: string): Promise<Awaited<ReturnType<TestService['call']>>> =>
  await auth.call(authRoutes.login, { body: { email, password: PASSWORD } })

async function newEmail(): Promise<string> {
  const email = `${crypto.randomUUID()}@example.com`
  await newUser(auth, email)
  return email
}

async function sessionsOf(email: string): Promise<number> {
  const [row] = await auth.database.query<{ count: string }>(
    'select count(*) from session join account on account.id = account_id where email_key = $1',
    [email],
  )
  return Number(row?.count)
}

/** In a transaction of somebody else's. */
async function elsewhere(work: (tx: Transaction) => Promise<void>): Promise<void> {
  const logger = createLogger('auth', 'silent')
  await using database = new Database({ url: auth.database.adminUrl, service: 'test', timeoutMs: 10_000, logger })
  await database.transaction(work)
}

const lockAccount = sql('test.lock_account', 'select from account where email_key = $1 for no key update')
const lockCount = sql('test.lock_count', 'select from throttle where key = $1 for update')

/** Until a statement of the service waits for somebody's row. */
async function blocked(): Promise<void> {
  await eventually(async () => {
    const waiting = await auth.database.query(
      `select from pg_stat_activity where datname = current_database() and usename = 'auth' and wait_event_type = 'Lock'`,
    )
    return waiting.length > 0
  })
}

const changes = {
  'a password that is changed': {
    change: sql(
      'test.change_password',
      `update account set password_hash = 'another', event_version = event_version + 1 where email_key = $1`,
    ),
    answer: { status: 401, body: { type: '/problems/wrong-credentials' } },
  },
  'an account that is shut': {
    change: sql(
      'test.shut',
      'update account set disabled_at = now(), event_version = event_version + 1 where email_key = $1',
    ),
    answer: { status: 401, body: { type: '/problems/wrong-credentials' } },
  },
  'a second factor that is turned on': {
    change: sql(
      'test.turn_on',
      `with changed as (update account set event_version = event_version + 1 where email_key = $1 returning id)
      insert into totp (account_id, sealed_secret, last_step, created_at) select id, '', 0, now() from changed`,
    ),
    answer: { status: 200, body: { methods: ['totp'] } },
  },
}

test.each(Object.entries(changes))(
  '%s while somebody signs in counts, though it commits in the last moment',
  async (_name, { change, answer }) => {
    const email = await newEmail()
    const before = await sessionsOf(email)
    let signingIn: ReturnType<typeof login> | undefined
    await elsewhere(async (tx) => {
      await tx.query(lockAccount, [email])
      signingIn = login(email)
      await blocked()
      await tx.query(change, [email])
    })
    expect(await signingIn).toMatchObject(answer)
    expect(await sessionsOf(email)).toBe(before)
  },
)

test('a sign-in that is not written down opens no session', async () => {
  const email = await newEmail()
  const before = await sessionsOf(email)
  await auth.database.query('revoke insert on audit_entry from auth')
  try {
    expect((await login(email)).status).toBe(500)
  } finally {
    await auth.database.query('grant insert on audit_entry to auth')
  }
  expect(await sessionsOf(email)).toBe(before)
  expect((await login(email)).status).toBe(200)
  expect(await sessionsOf(email)).toBe(before + 1)
})

test('forgiving an attempt locks counts in the order in which an attempt takes them, so that neither waits for the other', async () => {
  const email = await newEmail()
  await auth.database.query('delete from throttle')
  let signingIn: ReturnType<typeof login> | undefined
  await elsewhere(async (tx) => {
    let counted: readonly { key: string }[] = []
    await elsewhere(async (before) => {
      await before.query(lockAccount, [email])
      signingIn = login(email)
      await blocked()
      counted = await auth.database.query<{ key: string }>('select key from throttle')
      await tx.query(lockCount, [counted.find(({ key }) => key.includes('/address/'))?.key])
    })
    await blocked()
    const free = await auth.database.query<{ key: string }>('select key from throttle for update skip locked')
    expect(counted).toHaveLength(2)
    expect(free).toEqual(counted.filter(({ key }) => !key.includes('/address/')))
  })
  expect((await signingIn)?.status).toBe(200)
})

test('only counting an attempt does not wait for the disk: a session is there after a crash', async () => {
  const email = await newEmail()
  await auth.database.query(
    `create table commit_seen (what text, mode text);
     create function note_commit() returns trigger language plpgsql security definer as $$
     begin
       insert into commit_seen values (tg_table_name, current_setting('synchronous_commit'));
       return null;
     end
     $$;
     create constraint trigger note_commit after insert on throttle deferrable initially deferred
       for each row execute function note_commit();
     create constraint trigger note_commit after insert on session deferrable initially deferred
       for each row execute function note_commit()`,
  )
  try {
    expect((await login(email)).status).toBe(200)
    const seen = await auth.database.query('select distinct what, mode from commit_seen order by what')
    expect(seen).toEqual([
      { what: 'session', mode: 'on' },
      { what: 'throttle', mode: 'off' },
    ])
  } finally {
    await auth.database.query('drop function note_commit cascade; drop table commit_seen')
  }
})
