/**
 * In the database of notifications: a mail that a server refused for good, a message that can be applied by now (its mail goes
 * to `late@example.com`), and one that never can be.
 */
export const TROUBLE = `with mails as (
  insert into mail (
    id, natural_key, kind, user_id, email, name, language, data, has_secret, status, attempts, due_at, gives_up_at, last_error,
    created_at
  )
  values (uuidv7(), 'trouble', 'already-registered', uuidv7(), 'full@example.com', 'Ada', 'en', '{}', false, 'dead', 1, now(),
    now() + interval '2 days', '552 5.2.2 The mailbox is full', now())
), letter as (
  select uuidv7() as id, body
  from (values ('{"userId": "01977c1e-6a00-7000-8000-000000000001", "email": "late@example.com", "name": "Ada", "language": "en"}'),
    ('{"userId": "nobody"}')) as written(body)
)
insert into dead_letter (id, consumer, message_id, subject, headers, body, reason)
select uuidv7(), 'notifications', id, 'msg.auth.registration.repeated',
  jsonb_build_object('ce-specversion', '1.0', 'ce-id', id, 'ce-type', 'saas.auth.registration.repeated.v1', 'ce-source', '/auth',
    'ce-subject', '01977c1e-6a00-7000-8000-000000000001', 'ce-aggregateversion', '1', 'ce-time', now()),
  convert_to(body, 'UTF8'), 'The database was in a mood'
from letter`
