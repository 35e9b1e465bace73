-- Texts are kept in one form, NFC. See docs/decisions/0180. Of the products that have another, the newest 10,000 are mended here, so that
-- nobody who changes one waits for long; the others are when they are written again.
with decomposed as (
  select id
  from product
  where deleted_at is null
    and concat_ws(' ', name, description, category, array_to_string(tags, ' '), attributes::text) is not nfc normalized
  order by id desc
  limit 10000
), mended as (
  update product
  set name = normalize(name, nfc),
    description = normalize(description, nfc),
    category = normalize(category, nfc),
    tags = array(
      select normalize(tag, nfc)
      from unnest(tags) with ordinality as one (tag, place)
      group by 1
      order by min(place)
    ),
    attributes = (
      select coalesce(
        jsonb_object_agg(key, case jsonb_typeof(value) when 'string' then to_jsonb(normalize(value #>> '{}', nfc)) else value end),
        '{}'
      )
      from jsonb_each(attributes)
    )
  from decomposed
  where product.id = decomposed.id
  returning words
)
insert into search_word (word)
select distinct known.word
from mended
cross join unnest(words)
cross join lateral (
  select lexeme
  where lexeme !~ '[0-9]'
  union all
  select unnest(regexp_match(lexeme, '^(([^0-9]{2,})[0-9])'))
) as known (word)
where length(known.word) between 3 and 40
order by known.word
on conflict do nothing;
