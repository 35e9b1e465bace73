{{/*
What makes the databases and roles: the statements of provisionService in packages/state, for psql. It may run at any
time again and repairs what differs, passwords included. (dict "root" $ "services" $names)
*/}}
{{- define "postgres.provision" -}}
{{- $suffix := get (include "saas.databaseConnection" .root | fromYaml) "migrator" -}}
\set ON_ERROR_STOP on
-- Postgres refuses two changes of one role at once, so a second run waits for the first.
select pg_advisory_lock(1935761779);
{{- range $service := .services }}

\getenv password PASSWORD_{{ $service | upper }}
\getenv migrator_password MIGRATOR_PASSWORD_{{ $service | upper }}
select format('create role %I login', name) from unnest(array['{{ $service }}{{ $suffix }}', '{{ $service }}']) name
  where not exists (select from pg_roles where rolname = name) \gexec
alter role "{{ $service }}{{ $suffix }}" with login nosuperuser nocreatedb nocreaterole password :'migrator_password';
alter role "{{ $service }}" with login nosuperuser nocreatedb nocreaterole password :'password';
grant "{{ $service }}{{ $suffix }}" to current_user;
select 'create database "{{ $service }}" owner "{{ $service }}{{ $suffix }}"'
  where not exists (select from pg_database where datname = '{{ $service }}') \gexec
alter database "{{ $service }}" owner to "{{ $service }}{{ $suffix }}";
revoke all on database "{{ $service }}" from public;
grant connect on database "{{ $service }}" to "{{ $service }}";
{{- if eq $.root.Values.global.postgres.mode "pgo" }}
-- The pooler asks here who may sign in. Until the operator has made its role this fails, and the Job is run again.
grant connect on database "{{ $service }}" to _crunchypgbouncer;
{{- end }}
alter role "{{ $service }}" set statement_timeout = 8000;
alter role "{{ $service }}" set lock_timeout = 500;
alter role "{{ $service }}" set idle_in_transaction_session_timeout = 10000;
{{- end }}
{{- if eq .root.Values.global.postgres.mode "standalone" }}

-- Reads the whole cluster, and only over the replication protocol: it may connect to no database.
{{- if .values.backup.enabled }}
\getenv password PASSWORD_OF_BACKUP
select 'create role backup' where not exists (select from pg_roles where rolname = 'backup') \gexec
alter role backup with login replication nosuperuser nocreatedb nocreaterole password :'password';
{{- else }}
select 'alter role backup nologin' where exists (select from pg_roles where rolname = 'backup') \gexec
{{- end }}
{{- end }}
{{- range $service := .services }}

\connect "{{ $service }}"
-- A migration may run already. Its tables are not seen here before it ends, and were made before they had default privileges: so
-- this waits for it, by the lock that migrations hold, and the next one waits for this.
select pg_advisory_lock(1835624306);
alter schema public owner to "{{ $service }}{{ $suffix }}";
revoke all on schema public from public;
grant usage on schema public to "{{ $service }}";
alter default privileges for role "{{ $service }}{{ $suffix }}" in schema public grant select, insert, update, delete on tables to "{{ $service }}";
alter default privileges for role "{{ $service }}{{ $suffix }}" in schema public grant usage, select on sequences to "{{ $service }}";
-- What is written into a ledger stays: a table whose comment begins with `append-only` is for reading and adding.
do $$
declare
  found record;
begin
  for found in
    select oid::regclass as name, obj_description(oid, 'pg_class') like 'append-only%' as is_ledger
    from pg_class
    where relnamespace = 'public'::regnamespace
      and relkind in ('r', 'p', 'v', 'm', 'f')
  loop
    execute format('grant select, insert on %s to {{ $service }}', found.name);
    if found.is_ledger then
      execute format('revoke update, delete, truncate on %s from {{ $service }}', found.name);
    else
      execute format('grant update, delete on %s to {{ $service }}', found.name);
    end if;
  end loop;
end
$$;
grant usage, select on all sequences in schema public to "{{ $service }}";
{{- end }}
{{ end -}}
