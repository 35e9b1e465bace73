-- Who sends. A courier counts on while it lives; the others see by a count that stands still that one has died, whatever its clock said.
create table courier (
  id uuid primary key,
  beats bigint not null
);

-- Whose lease it is, so that what somebody held who died is let go.
alter table mail add column courier_id uuid;
