-- Which languages there are is said by the templates of the mails, and adding one takes no migration: the table asks only for the form.
alter table account
  drop constraint account_language_known,
  add constraint account_language_is_a_tag check (language ~ '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$');
alter table registration
  drop constraint registration_language_known,
  add constraint registration_language_is_a_tag check (language ~ '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$');
