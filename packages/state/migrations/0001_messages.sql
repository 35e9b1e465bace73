-- What every service needs to send and receive messages. See docs/architecture.md, "Messages".

-- Written in the statement that changes state; the relay publishes what has no published_at.
create table outbox (
  id uuid primary key,
  aggregate_type text not null,
  aggregate_id text not null,
  aggregate_version bigint not null,
  subject text not null,
  data jsonb not null,
  trace_parent text,
  created_at timestamptz not null default now(),
  shard smallint not null generated always as ((hashtextextended(aggregate_id, 0) & 15)::smallint) stored,
  published_at timestamptz,
  -- Which stream has it and where: tells a new stream, or one that went back, from the one we know.
  stream_created_at timestamptz,
  stream_sequence bigint,
  -- Pruning goes by the time inside the id.
  constraint outbox_id_is_version_7 check (uuid_extract_version(id) = 7),
  constraint outbox_aggregate_version_positive check (aggregate_version >= 1),
  constraint outbox_subject_is_a_message check (subject like 'msg.%'),
  -- Well under what the broker accepts, so that no row can get stuck.
  constraint outbox_data_is_small check (pg_column_size(data) <= 524288)
);

-- The relay's only search: the lowest unpublished version of each aggregate of a shard.
create index outbox_unpublished on outbox (shard, aggregate_type, aggregate_id, aggregate_version)
  where published_at is null;

-- The stream as this service last saw it.
create table stream_position (
  stream text primary key,
  stream_created_at timestamptz not null,
  last_sequence bigint not null
);

-- Commits together with a message's effect, so that a second delivery has none.
create table inbox (
  consumer text not null,
  message_id uuid not null,
  received_at timestamptz not null default now(),
  primary key (consumer, message_id)
);

create table dead_letter (
  id uuid primary key,
  consumer text not null,
  message_id uuid not null,
  subject text not null,
  headers jsonb not null,
  body bytea not null,
  reason text not null,
  created_at timestamptz not null default now(),
  replayed_at timestamptz,
  unique (consumer, message_id)
);
