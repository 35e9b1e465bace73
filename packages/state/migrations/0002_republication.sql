-- Messages that a lost stream had, and a new one has not yet. See docs/decisions/0167-new-messages-first.md.

create table republication (
  message_id uuid primary key,
  aggregate_type text not null,
  aggregate_id text not null
);

-- Before a newer version of an aggregate is published, its older ones are.
create index republication_aggregate on republication (aggregate_type, aggregate_id);

-- From the newest to the oldest, as far as here; null when the stream has everything.
alter table stream_position add column republish_below uuid;
