-- Zones that are offsets, and names that their normal form makes too long, were taken once. No event has a place for them, and no answer for
-- such a zone: every sign-in of its account failed, and nobody else heard of either. They are told again: mails may wait for the address.
with mended as (
  update account
  set zone = case when zone ~ '^[+-]' then null else zone end,
    name = rtrim(left(name, 100)),
    event_version = event_version + 1
  where zone ~ '^[+-]' or char_length(name) > 100
  returning *
)
insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data)
select uuidv7(), 'user', id::text, event_version, 'msg.auth.user.changed',
  jsonb_build_object(
    'userId', id, 'email', email, 'name', name, 'language', language, 'zone', zone, 'roles', to_jsonb(roles),
    'verified', verified_at is not null, 'disabled', disabled_at is not null, 'preferences', preferences
  )
from mended;

update registration
set zone = case when zone ~ '^[+-]' then null else zone end, name = rtrim(left(name, 100))
where zone ~ '^[+-]' or char_length(name) > 100;

-- What was asked for a moment ago and is not applied yet.
update account_request set data = data || '{"zone": null}' where kind = 'register' and data ->> 'zone' ~ '^[+-]';
