-- What is known of products and orders, as far as scheduled mails speak of them.
create table product_copy (
  product_id uuid primary key,
  version bigint not null,
  name text not null,
  amount bigint not null,
  currency text not null,
  deleted boolean not null,
  -- When it came into the catalogue; null while its creation has not arrived.
  created_at timestamptz
);

create index product_copy_created on product_copy (created_at) where not deleted;

create table sale (
  order_id uuid primary key,
  amount bigint not null,
  currency text not null,
  lines jsonb not null,
  confirmed_at timestamptz,
  cancelled_at timestamptz
);

create index sale_confirmed on sale (confirmed_at);
create index sale_cancelled on sale (cancelled_at) where cancelled_at is not null;

create table schedule (
  id uuid primary key,
  name text not null,
  kind text not null,
  origin text not null,
  cron text,
  -- Local date and time of one that fires once: YYYY-MM-DDTHH:MM.
  local_at text,
  -- Null: the zone of each user.
  zone text,
  catch_up text not null,
  roles text[],
  user_ids uuid[],
  content jsonb not null,
  status text not null default 'active',
  created_at timestamptz not null,
  -- When one that fires once has been due in every zone.
  ends_at timestamptz,
  constraint schedule_origin_known check (origin in ('configuration', 'event', 'operator')),
  constraint schedule_catch_up_known check (catch_up in ('once', 'all', 'skip')),
  constraint schedule_status_known check (status in ('active', 'paused', 'cancelled', 'done')),
  constraint schedule_fires_once_or_again check ((cron is null) <> (local_at is null)),
  constraint schedule_end_is_known check ((local_at is null) = (ends_at is null))
);

-- Where a schedule stands in each of its zones.
create table schedule_zone (
  schedule_id uuid not null references schedule,
  zone text not null,
  -- Null: never again, or not while it is paused.
  next_at timestamptz,
  last_fire_at timestamptz,
  primary key (schedule_id, zone)
);

-- The only search of a tick.
create index schedule_zone_due on schedule_zone (next_at) where next_at is not null;

create table fire (
  id uuid primary key,
  schedule_id uuid not null references schedule,
  zone text not null,
  -- The occurrence, not when somebody came round to it.
  fire_at timestamptz not null,
  local_date date not null,
  -- What all its mails say.
  facts jsonb not null,
  status text not null,
  -- The last user who was planned.
  planned_until uuid,
  mails integer not null default 0,
  created_at timestamptz not null,
  constraint fire_status_known check (status in ('planning', 'done')),
  -- However many replicas, restarts and wrong clocks: one firing an occurrence.
  constraint fire_once unique (schedule_id, zone, fire_at)
);

create index fire_planning on fire (id) where status = 'planning';

-- The firing that made the mail; its facts are the mail's.
alter table mail add column fire_id uuid;

create index recipient_zone on recipient ((coalesce(zone, 'UTC')), user_id);
