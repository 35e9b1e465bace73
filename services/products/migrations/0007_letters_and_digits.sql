-- "usb" finds "USB3": of each word with digits its letters are known, and these with the first digit. See docs/decisions/0173. This reads all
-- products and keeps nobody from writing them.
insert into search_word (word)
select distinct known.word
from product
cross join unnest(words)
cross join unnest(regexp_match(lexeme, '^(([^0-9]{2,})[0-9])')) as known (word)
where deleted_at is null
  and length(known.word) between 3 and 40
order by known.word
on conflict do nothing;
