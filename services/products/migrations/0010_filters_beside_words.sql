-- Whatever a search is narrowed by, the walk from era to era finds it in one index. See docs/decisions/0181. The list of what is not in the tree
-- yet is read with each look-up, of which a search makes hundreds: it is kept short.
create index product_by_era on product
  using gin (words_of_era(words, number), (array[coalesce(number, 0) >> 12]), tags, (array[category]), (array[in_stock]))
  with (gin_pending_list_limit = 64)
  where deleted_at is null;

drop index product_by_words_of_era;
