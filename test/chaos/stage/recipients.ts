import type { Queryable } from '../checkers/index.ts'

/** Lets notifications know where these users are reached, as auth's events would. */
export async function introduce(notifications: Queryable | undefined, userIds: readonly string[]): Promise<void> {
  await notifications?.query(
    `insert into recipient (user_id, version, email, name, language, roles, verified, disabled, updated_at)
     select id, 1, id || '@example.com', 'Ada', 'en', '{customer}', true, false, now()
     from unnest($1::uuid[]) as id`,
    [userIds],
  )
}
