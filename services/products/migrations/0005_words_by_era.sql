-- What a search for frequent words finds first, without reading all that have them. See docs/decisions/0163.

-- The order in which products came: 4,096 that follow one another are an era. Those that were there before have none and are together in
-- era 0, because giving them numbers would lock the table for minutes when there are a million.
create sequence product_number minvalue 4096;
alter table product add column number bigint;
alter table product alter column number set default nextval('product_number');
alter sequence product_number owned by product.number;

-- Each word as a word of its era: "244:teapot".
create function words_of_era(words tsvector, number bigint) returns tsvector
  language sql immutable parallel safe
  return (
    select array_to_tsvector(array_agg((coalesce(number, 0) >> 12) || ':' || word))
    from unnest(tsvector_to_array(words)) as word
  );

create index product_by_words_of_era on product using gin (words_of_era(words, number)) where deleted_at is null;
