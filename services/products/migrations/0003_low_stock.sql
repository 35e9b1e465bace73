-- When managers are told that a product runs low. See docs/decisions/0073.
alter table product
  -- The stock at or below which it is low; null for a product that nobody watches.
  add column low_stock_threshold bigint,
  -- How often the stock fell from above the threshold to it or below: the version of the events about it.
  add column low_stock_version bigint not null default 0,
  add constraint product_low_stock_threshold_bounds check (low_stock_threshold between 0 and 1000000000);
