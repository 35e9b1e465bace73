-- The key that all keys of auth are derived from, sealed with the key-encryption key that `sealed_by` identifies. Replacing that key seals
-- this row anew, and nothing else. A key that was replaced (`formerly`) never seals it again: a pod from before the change may
-- start after it.
create table data_key (
  only_one boolean primary key default true check (only_one),
  sealed bytea not null,
  sealed_by text not null,
  formerly text[] not null default '{}',
  sealed_at timestamptz not null
);
