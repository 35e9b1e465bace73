import { Client, escapeIdentifier, escapeLiteral } from 'pg'
import { MIGRATION_LOCK } from './migrations.ts'
import { IDLE_IN_TRANSACTION_TIMEOUT_MS, LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS } from './time-outs.ts'

const PROVISION_LOCK = 0x73616173

/** What one service owns in a Postgres cluster. */
export interface ServiceProvision {
  readonly database: string
  /** The role the service runs as: it reads and writes rows and can change no table. */
  readonly role: string
  readonly rolePassword: string
  /** The role that owns the database and runs migrations. */
  readonly migratorRole: string
  readonly migratorPassword: string
}

/**
 * Creates the database, both roles and their privileges, as the administrator of `adminUrl`. Running it again
 * repairs what differs, passwords included, so it is safe at every start.
 *
 * Time-outs are settings of the service role and not of its connections, because a pooler drops the latter.
 */
export async function provisionService(adminUrl: string, provision: ServiceProvision): Promise<void> {
  const { database, role, rolePassword, migratorRole, migratorPassword } = provision
  const [db, service, migrator] = [database, role, migratorRole].map((name) => escapeIdentifier(name)) as [
    string,
    string,
    string,
  ]
  await using admin = await connect(adminUrl)
  // Postgres refuses two changes of one role at once, so a second start waits for the first.
  await admin.client.query('select pg_advisory_lock($1)', [PROVISION_LOCK])
  await createRole(admin.client, migratorRole, migratorPassword)
  await createRole(admin.client, role, rolePassword)
  await admin.client.query(`grant ${migrator} to current_user`)
  await tolerate(admin.client.query(`create database ${db} owner ${migrator}`), '42P04')
  for (const statement of [
    `alter database ${db} owner to ${migrator}`,
    `revoke all on database ${db} from public`,
    `grant connect on database ${db} to ${service}`,
    `alter role ${service} set statement_timeout = ${STATEMENT_TIMEOUT_MS}`,
    `alter role ${service} set lock_timeout = ${LOCK_TIMEOUT_MS}`,
    `alter role ${service} set idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_TIMEOUT_MS}`,
  ]) {
    await admin.client.query(statement)
  }

  await using inside = await connect(withDatabase(adminUrl, database))
  // A migration that runs now makes tables that are not seen here before it ends: they would be granted to nobody.
  await inside.client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
  for (const statement of [
    `alter schema public owner to ${migrator}`,
    'revoke all on schema public from public',
    `grant usage on schema public to ${service}`,
    `alter default privileges for role ${migrator} in schema public grant select, insert, update, delete on tables to ${service}`,
    `alter default privileges for role ${migrator} in schema public grant usage, select on sequences to ${service}`,
    grantTables(service),
    `grant usage, select on all sequences in schema public to ${service}`,
  ]) {
    await inside.client.query(statement)
  }
}

/** What is written into a ledger stays: a table whose comment begins with `append-only` is granted for reading and adding. */
function grantTables(service: string): string {
  return `do $$
    declare
      found record;
    begin
      for found in
        select oid::regclass as name, obj_description(oid, 'pg_class') like 'append-only%' as is_ledger
        from pg_class
        where relnamespace = 'public'::regnamespace
          and relkind in ('r', 'p', 'v', 'm', 'f')
      loop
        execute format('grant select, insert on %s to %s', found.name, ${escapeLiteral(service)});
        if found.is_ledger then
          execute format('revoke update, delete, truncate on %s from %s', found.name, ${escapeLiteral(service)});
        else
          execute format('grant update, delete on %s to %s', found.name, ${escapeLiteral(service)});
        end if;
      end loop;
    end
  $$`
}

async function createRole(client: Client, role: string, password: string): Promise<void> {
  const name = escapeIdentifier(role)
  await tolerate(client.query(`create role ${name} login`), '42710')
  await client.query(
    `alter role ${name} with login nosuperuser nocreatedb nocreaterole password ${escapeLiteral(password)}`,
  )
}

/** That it exists already is as good as success. */
async function tolerate(statement: Promise<unknown>, state: string): Promise<void> {
  try {
    await statement
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === state)) throw error
  }
}

async function connect(url: string): Promise<AsyncDisposable & { client: Client }> {
  const client = new Client({ connectionString: url, application_name: 'provision' })
  await client.connect()
  return { client, [Symbol.asyncDispose]: () => client.end() }
}

function withDatabase(url: string, database: string): string {
  const parsed = new URL(url)
  parsed.pathname = `/${encodeURIComponent(database)}`
  return parsed.href
}
