-- Kinds of mails that somebody switched off. Of a person who is gone only the id and version stay, so that what is told of
-- them late brings nothing back.
alter table recipient
  add column declined text[] not null default '{}',
  add column deleted_at timestamptz,
  alter column email drop not null,
  alter column name drop not null,
  alter column language drop not null,
  add constraint recipient_is_known_or_gone
    check (deleted_at is not null or (email is not null and name is not null and language is not null)),
  add constraint recipient_gone_is_forgotten check (deleted_at is null or (email is null and name is null));

-- A mail that lost its reason or its reader before it was sent.
alter table mail
  drop constraint mail_status_known,
  add constraint mail_status_known check (status in ('due', 'sent', 'dead', 'cancelled'));

-- What lies in each customer's cart, and when to remind of it.
create table cart (
  user_id uuid primary key,
  version bigint not null,
  lines jsonb not null,
  -- Null: nothing to remind of, or done.
  remind_at timestamptz
);

create index cart_reminding on cart (remind_at) where remind_at is not null;

-- What happened since somebody was last told of it. The first event is told at once and opens the window; what follows
-- is collected here and told together when it closes.
create table digest_window (
  topic text not null,
  user_id uuid not null,
  opened_at timestamptz not null,
  closes_at timestamptz not null,
  -- The first so many of them.
  items jsonb not null,
  count integer not null,
  primary key (topic, user_id)
);

create index digest_window_closing on digest_window (closes_at);

-- Schedules that were taken back, also before they were asked for.
create table schedule_withdrawal (
  schedule_id uuid primary key,
  withdrawn_at timestamptz not null
);

-- Who hears of stock that ran low.
create index recipient_managers on recipient (user_id) where 'manager' = any(roles);
-- What is forgotten with a person.
create index mail_of_user on mail (user_id);
