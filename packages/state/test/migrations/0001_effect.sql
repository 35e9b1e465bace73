-- Stands for a service's tables in the tests of this package.
create table effect (
  id bigint generated always as identity primary key,
  message_id uuid not null,
  aggregate_id text not null,
  aggregate_version bigint not null,
  stream_order timestamptz not null default clock_timestamp()
);

create table account (
  id uuid primary key,
  balance int not null check (balance >= 0)
);

create table ledger_entry (
  id uuid primary key,
  account text not null,
  key text not null,
  amount int not null check (amount <> 13),
  unique (account, key)
);
