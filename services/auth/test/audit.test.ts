import { auditActions, authEvents, authRoutes, exportEvents, type AuditEntry, type QueryOf } from '@saas/contracts'
import { Authenticator } from '@saas/devstack'
import { eventually, type TestService } from '@saas/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  administrator,
  administratorWithFactor,
  mailedSecret,
  newUser,
  PASSWORD,
  sendTo,
  signIn,
  startedAuth,
  tokenOf,
  type SignedInUser,
} from './fixtures.ts'

let auth: TestService
let admin: SignedInUser
let user: SignedInUser
let email: string
beforeAll(async () => {
  auth = await startedAuth()
  admin = await administrator(auth)
})
beforeEach(async () => {
  email = `${crypto.randomUUID()}@example.com`
  user = await newUser(auth, email)
})
afterAll(async () => {
  await auth[Symbol.asyncDispose]()
})

const entries = async (query: QueryOf<typeof authRoutes.listAudit> = {}): Promise<AuditEntry[]> =>
  (await auth.call(authRoutes.listAudit, { as: admin.as, query })).body.items
const about = async (): Promise<string[]> => (await entries({ accountId: user.userId })).map(({ action }) => action)

describe('the audit log', () => {
  test('says who changed which role, who shut whom out, and who signed in from where', async () => {
    const params = { id: user.userId }
    await auth.call(authRoutes.setRoles, { as: admin.as, params, body: { roles: ['manager'] } })
    await auth.call(authRoutes.setDisabled, { as: admin.as, params, body: { disabled: true } })
    await auth.call(authRoutes.setDisabled, { as: admin.as, params, body: { disabled: false } })
    expect(await about()).toEqual(['enabled', 'disabled', 'roles-changed', 'sign-in'])
    const [, , roles, signedIn] = await entries({ accountId: user.userId })
    expect(roles).toMatchObject({
      account: email,
      byId: admin.userId,
      by: 'root@example.com',
      detail: { before: ['customer'], after: ['manager'] },
    })
    expect(signedIn).toMatchObject({ byId: user.userId, network: '127.0.0.1', detail: { sessionId: user.sessionId } })
  })

  test('has nothing of what was refused or changed nothing', async () => {
    const params = { id: user.userId }
    await auth.call(authRoutes.setRoles, { as: admin.as, params, body: { roles: ['customer'] } })
    await auth.call(authRoutes.setRoles, { as: admin.as, params: { id: admin.userId }, body: { roles: ['customer'] } })
    expect(await about()).toEqual(['sign-in'])
    const own = await entries({ accountId: admin.userId, action: 'roles-changed' })
    expect(own).toEqual([])
  })

  test('counts failures once a minute, alike for addresses that are known and that are not', async () => {
    const stranger = `${crypto.randomUUID()}@example.com`
    const before = (await entries({ action: 'sign-in-failed', limit: 100 })).length
    for (const address of [email, stranger, email, stranger]) {
      await auth.call(authRoutes.login, { body: { email: address, password: 'a guess that is wrong' } })
    }
    const failures = await entries({ action: 'sign-in-failed', limit: 100 })
    expect(failures.length - before).toBe(2)
    expect(failures.slice(0, 2).map(({ accountId }) => accountId)).toEqual([null, user.userId])
    auth.clock.advance(60_000)
    await auth.call(authRoutes.login, { body: { email, password: 'a guess that is wrong' } })
    expect(await about()).toEqual(['sign-in-failed', 'sign-in-failed', 'sign-in'])
    expect(JSON.stringify(failures)).not.toContain(stranger)
  })

  test('tells guesses at the second factor from those at the password of the same minute', async () => {
    await administratorWithFactor(auth, email)
    const guess = async (body: { email: string; password: string }) => await auth.call(authRoutes.login, { body })
    await guess({ email, password: 'a guess that is wrong' })
    const { mfaToken } = (await guess({ email, password: PASSWORD })).body
    for (const code of ['000000', '000001']) await auth.call(authRoutes.passSecondFactor, { body: { mfaToken, code } })
    const failures = await entries({ accountId: user.userId, action: 'sign-in-failed' })
    expect(failures.map(({ detail }) => detail)).toEqual([{ by: 'second-factor' }, { by: 'password' }])
  })

  test('names the account whose mailed code is guessed, as it does for passwords', async () => {
    const { status } = await auth.call(authRoutes.login, { body: { email, code: '000000' } })
    expect(status).toBe(401)
    const [failure] = await entries({ accountId: user.userId, action: 'sign-in-failed' })
    expect(failure).toMatchObject({ account: email, byId: null, network: '127.0.0.1', detail: { by: 'code' } })
  })

  test('has every action that it knows', async () => {
    const code = async (): Promise<{ code: string }> => {
      await auth.call(authRoutes.requestLoginCode, { body: { email } })
      return { code: (await mailedSecret(auth, authEvents.loginCodeRequested, email)).code ?? '' }
    }
    await auth.call(authRoutes.login, { body: { email, password: 'a guess that is wrong' } })
    const params = { id: user.userId }
    await auth.call(authRoutes.setRoles, { as: admin.as, params, body: { roles: ['manager'] } })
    for (const disabled of [true, false]) {
      await auth.call(authRoutes.setDisabled, { as: admin.as, params, body: { disabled } })
    }
    const { accessToken, as } = await signIn(auth, email)
    await Authenticator.enrol(sendTo(auth), accessToken, () => auth.clock.now())
    await auth.call(authRoutes.removeTotp, { as })
    const next = `${crypto.randomUUID()}@example.com`
    await auth.call(authRoutes.changeEmail, { as, body: { email: next, currentPassword: PASSWORD } })
    const moving = await mailedSecret(auth, authEvents.emailChangeRequested, next)
    await auth.call(authRoutes.confirmEmail, { as, body: { token: tokenOf(moving) } })
    const undoing = await mailedSecret(auth, authEvents.emailChanged, email)
    await auth.call(authRoutes.undoEmail, { body: { token: tokenOf(undoing) } })
    const resetting = await mailedSecret(auth, authEvents.passwordResetRequested, email)
    await auth.call(authRoutes.resetPassword, { body: { token: tokenOf(resetting), password: PASSWORD } })
    const exporting = auth.call(authRoutes.exportProfile, { as })
    await eventually(async () => (await about()).includes('data-exported'))
    await auth.database.query(
      `insert into data_export_part (export_id, service, part, parts, items)
       select id, service, 1, 1, '[]' from data_export, unnest($2::text[]) as service
       where account_id = $1`,
      [user.userId, Object.values(exportEvents).map(({ publishedBy }) => publishedBy)],
    )
    await exporting
    const deletion = await auth.call(authRoutes.deleteProfile, { as, body: await code() })
    expect(deletion.status).toBe(204)
    const made = (await entries({ accountId: admin.userId, action: 'bootstrapped' })).map(({ action }) => action)
    expect([...new Set([...(await about()), ...made])].toSorted()).toEqual(auditActions.toSorted())
  })

  test.each([
    ['the service’s role', 'auth', /permission denied|must be owner/],
    ['the owner', 'auth_migrator', /audit_entry is append-only/],
  ])('takes no change and no deletion from %s', async (_, role, refusal) => {
    const before = await auth.database.query('select * from audit_entry order by id')
    expect(before).not.toHaveLength(0)
    const id = crypto.randomUUID()
    for (const statement of [
      `update audit_entry set action = 'sign-in'`,
      'delete from audit_entry',
      'delete from audit_entry where false',
      'truncate audit_entry',
      `insert into audit_entry (id, at, action) values ('${id}', now(), 'sign-in') on conflict (id) do update set at = now()`,
      'merge into audit_entry as old using audit_entry as new on old.id = new.id when matched then delete',
      ...(role === 'auth' ? ['alter table audit_entry disable trigger all', 'drop table audit_entry'] : []),
    ]) {
      await expect(auth.database.query(`set local role ${role}; ${statement}`), statement).rejects.toThrow(refusal)
    }
    expect(await auth.database.query('select * from audit_entry order by id')).toEqual(before)
  })

  test('may be read and added to by the service’s role, and nothing else', async () => {
    const [granted] = await auth.database.query<{ rights: string[] }>(
      `select array_agg(distinct privilege_type order by privilege_type) as rights
       from pg_class cross join aclexplode(relacl) as acl
       where oid = 'audit_entry'::regclass and acl.grantee <> relowner`,
    )
    expect(granted?.rights).toEqual(['INSERT', 'SELECT'])
  })

  test('is read page by page, the newest first, without gap or repetition while entries are added', async () => {
    for (let n = 0; n < 4; n += 1) await signIn(auth, email)
    const first = await auth.call(authRoutes.listAudit, { as: admin.as, query: { accountId: user.userId, limit: 2 } })
    await signIn(auth, email)
    const query = { accountId: user.userId, limit: 100, cursor: first.body.next }
    const rest = await auth.call(authRoutes.listAudit, { as: admin.as, query })
    const ids = [...first.body.items, ...rest.body.items].map(({ id }: AuditEntry) => id)
    // The newest of all came after the first page was read.
    expect(ids).toHaveLength(5)
    expect(ids).toEqual(ids.toSorted().toReversed())
    expect(rest.body.next).toBeNull()
  })

  test('is searched by time, by action and by author', async () => {
    auth.clock.advance(1_000)
    const from = auth.clock.now().toISOString()
    await signIn(auth, email)
    expect(await entries({ from, action: 'sign-in' })).toHaveLength(1)
    expect(await entries({ until: from, accountId: user.userId })).toHaveLength(1)
    expect((await entries({ byId: user.userId })).length).toBe(2)
    expect(await entries({ byId: user.userId, action: 'disabled' })).toEqual([])
    const wrong = await auth.call(authRoutes.listAudit, { as: admin.as, query: { cursor: 'x' } })
    expect(wrong).toMatchObject({ status: 400, body: { errors: [{ pointer: '/query/cursor' }] } })
  })

  test.each([
    ['0001-01-01T00:00:00+14:00', 200],
    ['9999-12-31T23:59:59.123456789-15:59', 200],
    ['2026-01-01T00:00:00+23:59', 400],
    [`2026-01-01T00:00:00.${'1'.repeat(300)}Z`, 400],
  ])('is asked for times that the database knows, and no others: %s', async (from, status) => {
    expect((await auth.call(authRoutes.listAudit, { as: admin.as, query: { from } })).status).toBe(status)
  })

  test('forgets names with the account and keeps what was done', async () => {
    await auth.call(authRoutes.deleteProfile, { as: user.as, body: { currentPassword: PASSWORD } })
    const all = await entries({ accountId: user.userId })
    expect(all.map(({ action, account, by }) => [action, account, by])).toEqual([
      ['account-deleted', null, null],
      ['sign-in', null, null],
    ])
  })
})

test('an entry is there exactly when what it says was done', async () => {
  await auth.database.query(
    `create function refuse_entries() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$`,
  )
  await auth.database.query(
    'create trigger refuse before insert on audit_entry for each row execute function refuse_entries()',
  )
  const params = { id: user.userId }
  const answer = await auth.call(authRoutes.setDisabled, { as: admin.as, params, body: { disabled: true } })
  await auth.database.query('drop trigger refuse on audit_entry')
  expect(answer.status).toBe(500)
  const [row] = await auth.database.query<{ disabled: Date | null }>(
    'select disabled_at as disabled from account where id = $1',
    [user.userId],
  )
  expect(row?.disabled).toBeNull()
})
