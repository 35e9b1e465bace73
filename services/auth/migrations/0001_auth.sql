-- Who there is, what proves it, and what was revoked. Times come from the service's clock, never from now().

create table account (
  id uuid primary key,
  email text not null,
  -- The address in lower case: what is compared, and what is unique.
  email_key text not null unique,
  name text not null,
  language text not null,
  zone text,
  roles text[] not null,
  password_hash text not null,
  verified_at timestamptz,
  disabled_at timestamptz,
  -- Rises when what the account may do or who may use it changes; access tokens carry it.
  security_version integer not null default 1,
  -- The version of the last event about the account.
  event_version bigint not null default 0,
  avatar_key text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint account_email_key_is_lower_case check (email_key = lower(email_key)),
  constraint account_language_known check (language in ('en', 'de')),
  constraint account_roles_known check (roles <@ array['customer', 'manager', 'admin'] and cardinality(roles) >= 1)
);

create index account_administrator on account (id) where 'admin' = any (roles);

create table session (
  id uuid primary key,
  account_id uuid not null references account (id) on delete cascade,
  device text not null,
  address text not null,
  created_at timestamptz not null,
  last_seen_at timestamptz not null,
  -- Absolute, and when nobody refreshes.
  expires_at timestamptz not null,
  idle_expires_at timestamptz not null,
  -- SHA-256 of the newest refresh token and of the two before it, with the time each was exchanged.
  token_hash bytea not null,
  parent_hash bytea,
  parent_exchanged_at timestamptz,
  grandparent_hash bytea,
  grandparent_exchanged_at timestamptz,
  ended_at timestamptz,
  ended_reason text,
  constraint session_ended_reason_known check (
    ended_reason in ('logout', 'revoked', 'replayed', 'password-changed', 'disabled', 'too-many')
  ),
  constraint session_ended_has_reason check ((ended_at is null) = (ended_reason is null))
);

create index session_by_account on session (account_id, created_at desc);

-- What access tokens that are still in time no longer hold: one session, or all of an account below a security version.
create table revocation (
  id uuid primary key,
  account_id uuid not null,
  session_id uuid,
  security_version integer,
  -- The session that made the change goes on.
  kept_session_id uuid,
  revoked_at timestamptz not null,
  constraint revocation_names_one check ((session_id is null) <> (security_version is null))
);

create index revocation_by_time on revocation (revoked_at);

-- SHA-256 of mailed 256-bit tokens.
create table mailed_token (
  token_hash bytea primary key,
  account_id uuid not null references account (id) on delete cascade,
  purpose text not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  constraint mailed_token_purpose_known check (purpose in ('verify', 'reset'))
);

create index mailed_token_by_account on mailed_token (account_id, purpose);

-- HMAC of mailed six-digit codes. Keyed by a keyed hash of the address, so that a try at an address without an account
-- writes a row too and takes as long.
create table mailed_code (
  address_hash bytea not null,
  purpose text not null,
  code_hash bytea not null,
  tries_left integer not null,
  expires_at timestamptz not null,
  primary key (address_hash, purpose),
  constraint mailed_code_purpose_known check (purpose in ('verify', 'sign-in')),
  constraint mailed_code_tries_bounded check (tries_left between 0 and 5)
);

-- What strangers asked for. The request only writes it down, whether the address is known or not.
create table account_request (
  id uuid primary key,
  kind text not null,
  email text not null,
  -- Of a registration: name, language, zone and the hash of the password.
  data jsonb not null,
  trace_parent text not null,
  due_at timestamptz not null,
  attempts integer not null default 0,
  constraint account_request_kind_known check (kind in ('register', 'verify', 'sign-in-code', 'reset'))
);

create index account_request_by_time on account_request (due_at, id);

-- Attempts, by a keyed hash of what they are counted for. The level leaks away with time, so nothing stays locked.
create table throttle (
  key text primary key,
  level double precision not null,
  next_at timestamptz not null,
  updated_at timestamptz not null
);

create index throttle_by_time on throttle (updated_at);

-- How long the next attempt has to wait after one that brought the level to `level`.
create function throttle_delay(
  level double precision,
  free double precision,
  first_seconds double precision,
  max_seconds double precision
) returns interval language sql immutable as $$
  select make_interval(secs => case
    when level < free then 0
    else least(max_seconds, first_seconds * power(2, least(ceil(level - free), 20)))
  end)
$$;

-- From where an account was signed in to. Such an address has a count of its own, which strangers cannot raise.
create table known_address (
  account_key text not null,
  address_key text not null,
  seen_at timestamptz not null,
  primary key (account_key, address_key)
);

create index known_address_by_time on known_address (seen_at);

-- Keys that access tokens are signed with; the private half is sealed with KEY_ENCRYPTION_KEY.
create table signing_key (
  id text primary key,
  public_key jsonb not null,
  sealed_private_key bytea not null,
  signs_from timestamptz not null,
  signs_until timestamptz not null,
  verifies_until timestamptz not null
);

-- Pictures in the object store that no account has, or that one may not get after all.
create table avatar_orphan (
  avatar_key text primary key,
  delete_from timestamptz not null
);

create index avatar_orphan_by_time on avatar_orphan (delete_from);
