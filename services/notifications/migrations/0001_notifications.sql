-- What is known of a user, from msg.auth.user.changed: where and how a mail reaches them.
create table recipient (
  user_id uuid primary key,
  -- The user's version in auth; an older one never overwrites a newer one.
  version bigint not null,
  email text not null,
  name text not null,
  language text not null,
  zone text,
  roles text[] not null,
  verified boolean not null,
  disabled boolean not null,
  updated_at timestamptz not null
);

create index recipient_email on recipient (lower(email));

create table mail (
  -- UUIDv7; the Message-ID is made of it, so that every attempt bears the same.
  id uuid primary key,
  -- What the mail is about: no event, however often it is applied, makes two mails.
  natural_key text not null unique,
  kind text not null,
  user_id uuid not null,
  -- Null while the mail goes to wherever its user can be reached at sending; then what was used.
  email text,
  name text,
  language text,
  data jsonb not null,
  -- JWE of the code or link; only here while it is needed.
  secret text,
  has_secret boolean not null,
  status text not null default 'due',
  attempts integer not null default 0,
  -- When it is to be tried, and while it is being tried the end of the lease.
  due_at timestamptz not null,
  -- After this its code or link is worthless.
  expires_at timestamptz,
  -- After this a mail that only failed for the time being is dead.
  gives_up_at timestamptz not null,
  lease uuid,
  last_error text,
  trace_parent text,
  created_at timestamptz not null,
  sent_at timestamptz,
  constraint mail_status_known check (status in ('due', 'sent', 'dead')),
  constraint mail_secret_only_while_due check (status = 'due' or secret is null),
  constraint mail_sent_has_time check ((status = 'sent') = (sent_at is not null)),
  constraint mail_text_is_bounded check (length(last_error) <= 1000)
);

-- The only search of the senders; it holds what is still to be done and nothing else.
create index mail_due on mail (due_at) where status = 'due';
create index mail_due_expiring on mail (expires_at) where status = 'due' and expires_at is not null;
-- Mails that wait for their address.
create index mail_due_of_user on mail (user_id) where status = 'due' and email is null;
-- The operators' list: by state, and by address.
create index mail_by_status on mail (status, id);
create index mail_by_email on mail (lower(email), id);
