-- What somebody said about optional mails; a kind that is not named is wanted.
alter table account add column preferences jsonb not null default '{}';

-- Everybody who registered an address that nobody has proven yet. Each registration has a link and a code of its own, and its password
-- counts only when these prove the address; until then the account has none.
create table registration (
  id uuid primary key,
  account_id uuid not null references account (id) on delete cascade,
  name text not null,
  language text not null,
  zone text,
  password_hash text not null,
  created_at timestamptz not null,
  constraint registration_language_known check (language in ('en', 'de'))
);

create index registration_by_account on registration (account_id, created_at desc, id desc);
create index registration_by_time on registration (created_at);

-- What was mailed for a registration; null for what proves the address alone.
alter table mailed_token add column registration_id uuid references registration (id) on delete cascade;
alter table mailed_code add column registration_id uuid references registration (id) on delete cascade;
create index mailed_token_by_registration on mailed_token (registration_id) where registration_id is not null;
create index mailed_code_by_registration on mailed_code (registration_id) where registration_id is not null;

-- Until now an unproven account had the password that was given last.
insert into registration (id, account_id, name, language, zone, password_hash, created_at)
select id, id, name, language, zone, password_hash, updated_at
from account
where verified_at is null;

update mailed_token
set registration_id = account_id
where purpose = 'verify' and account_id in (select account_id from registration);

-- The address an account is to have, until it is proven; the hashes are those of the mailed token and code.
create table email_change (
  account_id uuid primary key references account (id) on delete cascade,
  email text not null,
  token_hash bytea not null unique,
  code_hash bytea not null,
  tries_left integer not null,
  expires_at timestamptz not null,
  code_expires_at timestamptz not null,
  constraint email_change_tries_bounded check (tries_left between 0 and 5)
);

create index email_change_by_time on email_change (expires_at);

-- With what was mailed to the address before, its reader takes a change back.
create table email_undo (
  token_hash bytea primary key,
  account_id uuid not null references account (id) on delete cascade,
  email text not null,
  expires_at timestamptz not null
);

create index email_undo_by_account on email_undo (account_id);
create index email_undo_by_time on email_undo (expires_at);

alter table account_request
  drop constraint account_request_kind_known,
  add constraint account_request_kind_known
    check (kind in ('register', 'verify', 'sign-in-code', 'reset', 'email-change'));
