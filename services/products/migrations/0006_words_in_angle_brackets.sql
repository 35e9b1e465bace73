-- Words within angle brackets are words. The parser takes '<usb to hdmi>' for a tag and leaves it out, and without accents '«petit prince»' is
-- '<<petit prince>>': such a product was found by no word of its name. Now the brackets separate words, like the other marks.
create or replace function search_words(value text) returns tsvector
  language sql immutable parallel safe strict
  return to_tsvector('pg_catalog.simple'::regconfig, translate(folded(value), '-./_@:+&~#<>', '            '));

-- Only such products are written again; what is computed from a column is computed anew when that column is written.
with mended as (
  update product
  set name = name
  where deleted_at is null
    and folded(concat_ws(' ', name, category, array_to_string(tags, ' '), description, attributes::text)) like '%<%'
  returning words
)
insert into search_word (word)
select distinct lexeme
from mended, unnest(words)
where length(lexeme) between 3 and 40
  and lexeme !~ '[0-9]'
order by lexeme
on conflict do nothing;
