-- Who did what to which account. Names and addresses of people are not in it: an id says nothing once its account is gone.
create table audit_entry (
  id uuid primary key,
  at timestamptz not null,
  action text not null,
  -- Whom it is about; null when there is no such account.
  account_id uuid,
  -- Who did it; null when nobody was signed in.
  by_id uuid,
  -- Where from: an IPv4 address or an IPv6 /64.
  network text,
  device text,
  detail jsonb not null default '{}',
  -- What is to be written once only, such as the failures of one minute.
  once_key text unique
);

-- Pages run along the id, a UUIDv7, whose order is that of time.
create index audit_entry_by_account on audit_entry (account_id, id desc);
create index audit_entry_by_author on audit_entry (by_id, id desc) where by_id is not null;
create index audit_entry_by_action on audit_entry (action, id desc);

-- The comment keeps provisioning from granting more than reading and adding.
comment on table audit_entry is 'append-only: who did what to which account';

create function refuse_rewriting() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$;

create trigger audit_entry_is_append_only
  before update or delete or truncate on audit_entry
  for each statement execute function refuse_rewriting();

do $$
declare
  granted record;
begin
  for granted in
    select acl.grantee::regrole as role
    from pg_class
    cross join aclexplode(pg_class.relacl) as acl
    where pg_class.oid = 'audit_entry'::regclass and acl.grantee not in (0, pg_class.relowner)
    group by 1
  loop
    execute format('revoke update, delete, truncate on audit_entry from %s', granted.role);
  end loop;
end
$$;

-- What somebody asked to have of all that is kept about them, and the parts that services have sent of it.
create table data_export (
  id uuid primary key,
  account_id uuid not null references account (id) on delete cascade,
  requested_at timestamptz not null
);

create index data_export_by_account on data_export (account_id, id desc);
create index data_export_by_time on data_export (requested_at);

create table data_export_part (
  export_id uuid not null references data_export (id) on delete cascade,
  service text not null,
  part integer not null,
  parts integer not null,
  items jsonb not null,
  primary key (export_id, service, part)
);
