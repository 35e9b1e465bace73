-- What was published is written down in steps, from the newest to the oldest, as far as here; null when it is whole. See
-- docs/decisions/0179-a-lost-stream-is-noticed-at-once.md.
alter table stream_position add column keep_below uuid;
