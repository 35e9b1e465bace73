-- Second factors, passkeys, accounts at providers, and what a sign-in leaves behind on its way.

-- Why sessions end is a closed list in the code; a second one here would only make versions disagree.
alter table session
  drop constraint session_ended_reason_known,
  -- When it passed a second factor, and when its owner last proved who they are; null for what was opened before.
  add column second_factor_at timestamptz,
  add column authenticated_at timestamptz;

-- Secrets are sealed with a key derived from KEY_ENCRYPTION_KEY.
create table totp (
  account_id uuid primary key references account (id) on delete cascade,
  sealed_secret bytea not null,
  -- The last time step whose code was taken: neither it nor an older one counts again.
  last_step bigint not null,
  created_at timestamptz not null
);

-- What an authenticator app was shown, and has not confirmed yet.
create table totp_proposal (
  account_id uuid primary key references account (id) on delete cascade,
  sealed_secret bytea not null,
  expires_at timestamptz not null
);

create index totp_proposal_by_time on totp_proposal (expires_at);

-- HMAC of one-time codes for whoever lost the other factors.
create table recovery_code (
  account_id uuid not null references account (id) on delete cascade,
  code_hash bytea not null,
  used_at timestamptz,
  primary key (account_id, code_hash)
);

create table passkey (
  id uuid primary key,
  account_id uuid not null references account (id) on delete cascade,
  credential_id text not null unique,
  public_key bytea not null,
  -- Where the authenticator counts, it only counts up; a step back means that it was copied.
  counter bigint not null,
  transports text[] not null,
  name text not null,
  is_synced boolean not null,
  created_at timestamptz not null,
  last_used_at timestamptz
);

create index passkey_by_account on passkey (account_id, created_at);

-- What a passkey is to sign, once. Without an account for whoever has not said yet who they are.
create table passkey_challenge (
  challenge_hash bytea primary key,
  purpose text not null,
  account_id uuid,
  expires_at timestamptz not null,
  constraint passkey_challenge_purpose_known check (
    purpose in ('registration', 'sign-in', 'second-factor', 'reauthentication')
  )
);

create index passkey_challenge_by_time on passkey_challenge (expires_at);

-- A sign-in whose second factor is due, by SHA-256 of its token. It ends with the account's security version.
create table pending_sign_in (
  token_hash bytea primary key,
  account_id uuid not null references account (id) on delete cascade,
  security_version integer not null,
  expires_at timestamptz not null
);

create index pending_sign_in_by_time on pending_sign_in (expires_at);

-- Accounts at OpenID providers. The issuer names the provider for good; its id in the configuration may change.
create table linked_identity (
  id uuid primary key,
  account_id uuid not null references account (id) on delete cascade,
  issuer text not null,
  subject text not null,
  provider text not null,
  email text,
  created_at timestamptz not null,
  last_used_at timestamptz not null,
  unique (issuer, subject)
);

create index linked_identity_by_account on linked_identity (account_id);

-- A sign-in that is at a provider, by SHA-256 of its state.
create table provider_sign_in (
  state_hash bytea primary key,
  provider text not null,
  -- The nonce and the PKCE verifier, sealed.
  sealed_secrets bytea not null,
  -- SHA-256 of the cookie of the browser that began it.
  browser_hash bytea not null,
  -- Who links a provider to their account; null for whoever signs in.
  account_id uuid references account (id) on delete cascade,
  expires_at timestamptz not null
);

create index provider_sign_in_by_time on provider_sign_in (expires_at);
