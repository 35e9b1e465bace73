-- Whether the first factor was the password: whoever then shows no second one knows the password.
alter table pending_sign_in add column by_password boolean not null default false;

-- Wrong codes in a row after a right password, and when the owner was last told. They count for one security version, so a new password begins anew.
create table second_factor_failure (
  account_id uuid primary key references account (id) on delete cascade,
  security_version integer not null,
  failures integer not null,
  told_at timestamptz
);
