-- A dead letter is open until it was applied after all, or until an operator dismissed it. See docs/operations/dead-letters.md.

alter table dead_letter
  add column dismissed_at timestamptz,
  add column dismissed_by uuid,
  add column dismissal_reason text,
  add constraint dead_letter_dismissal_is_whole
    check (num_nulls(dismissed_at, dismissed_by, dismissal_reason) in (0, 3)),
  -- A version that does not know these columns applies nothing that was dismissed: its replay is rolled back.
  add constraint dead_letter_ends_once check (num_nulls(replayed_at, dismissed_at) >= 1);

-- What is counted at each scrape and listed first: it must not cost more because many have ended.
create index dead_letter_open on dead_letter (id)
  where replayed_at is null and dismissed_at is null;

-- What is past its retention.
create index dead_letter_ended on dead_letter (coalesce(replayed_at, dismissed_at));
