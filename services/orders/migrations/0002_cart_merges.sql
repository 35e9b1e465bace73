-- The newest keys under which a browser's cart was merged, oldest first: [{"key", "fingerprint"}]. See docs/decisions/0071.
alter table cart
  add column merges jsonb not null default '[]'
  check (jsonb_typeof(merges) = 'array' and jsonb_array_length(merges) <= 20);
