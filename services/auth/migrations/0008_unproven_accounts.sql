-- Accounts that nobody has proven are looked for by their age, to be forgotten.
create index account_unproven on account (created_at) where verified_at is null;
