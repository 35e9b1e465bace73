-- Where a mail goes, as far as it is known when it is written: couriers pass over domains that are busy enough already.
-- A hint only; what counts is the address at sending.
alter table mail add column domain text;
