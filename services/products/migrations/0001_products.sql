-- The catalogue and its stock. Decisions: docs/decisions/0020 to 0023. Postgres 17 or newer (pg_c_utf8).

-- Both are trusted: the owner of the database may create them.
create extension if not exists pg_trgm;
create extension if not exists unaccent;

-- Small letters without accents, the same on every platform and under every locale of the database.
create function folded(value text) returns text
  language sql immutable parallel safe strict
  return lower(public.unaccent('public.unaccent'::regdictionary, value) collate pg_c_utf8);

-- Marks inside words separate them here, so that "TEA-1" is found by "tea 1" and is not taken for a file or a host.
create function search_words(value text) returns tsvector
  language sql immutable parallel safe strict
  return to_tsvector('pg_catalog.simple'::regconfig, translate(folded(value), '-./_@:+&~#', '          '));

create function product_words(
  name text, sku text, category text, tags text[], description text, attributes jsonb
) returns tsvector
  language sql immutable parallel safe
  return setweight(search_words(name), 'A')
    || setweight(search_words(concat_ws(' ', sku, category, array_to_string(tags, ' '))), 'B')
    || setweight(search_words(description), 'C')
    || setweight(search_words(coalesce((select string_agg(value, ' ') from jsonb_each_text(attributes)), '')), 'D');

create table product (
  id uuid primary key,
  sku text not null collate "C",
  name text not null,
  description text not null,
  price_amount bigint not null,
  price_currency text not null,
  -- Rises with each change of price and never otherwise; an order names the one it was placed at.
  price_version bigint not null,
  category text collate "C",
  tags text[] not null,
  attributes jsonb not null,
  -- What can be sold now: what came in, less what went out, less what is reserved.
  available bigint not null,
  -- The number of stock movements there are; `available` is the balance of the last one.
  stock_version bigint not null,
  -- Rises with each change of what the product says, and is the version of its events.
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  deleted_at timestamptz,
  deleted_by uuid,
  -- Sorting key: short enough for a cursor; ties are broken by id.
  name_key text not null collate "C" generated always as (left(folded(name), 40)) stored,
  -- Indexes may use this and not `available`: it changes only at zero, so a sale stays a heap-only update.
  in_stock boolean not null generated always as (available > 0) stored,
  words tsvector not null
    generated always as (product_words(name, sku, category, tags, description, attributes)) stored,
  constraint product_available_not_negative check (available >= 0),
  constraint product_price_amount_bounds check (price_amount between 0 and 1000000000000),
  constraint product_price_currency_form check (price_currency ~ '^[A-Z]{3}$'),
  constraint product_versions_positive check (version >= 1 and price_version >= 1 and stock_version >= 1)
) with (fillfactor = 80);

-- A deleted product frees its SKU: see docs/decisions/0021.
create unique index product_sku_unique on product (sku) where deleted_at is null;

-- One index a sort, and one a sort within a category and within what is in stock.
create index product_by_newest on product (id) where deleted_at is null;
create index product_by_name on product (name_key, id) where deleted_at is null;
create index product_by_price on product (price_amount, id) where deleted_at is null;
create index product_in_category_by_newest on product (category, id) where deleted_at is null;
create index product_in_category_by_name on product (category, name_key, id) where deleted_at is null;
create index product_in_category_by_price on product (category, price_amount, id) where deleted_at is null;
create index product_in_stock_by_newest on product (id) where deleted_at is null and in_stock;
create index product_in_stock_by_name on product (name_key, id) where deleted_at is null and in_stock;
create index product_in_stock_by_price on product (price_amount, id) where deleted_at is null and in_stock;
create index product_by_tag on product using gin (tags) where deleted_at is null;
create index product_by_words on product using gin (words) where deleted_at is null;

-- Each word that stands or stood in a product: what a mistyped word is compared with.
create table search_word (
  word text primary key collate "C"
);
create index search_word_by_trigram on search_word using gin (word gin_trgm_ops);

-- Why `available` is what it is. Append-only; the first row of a product is `initial`.
create table stock_movement (
  product_id uuid not null references product (id),
  stock_version bigint not null,
  kind text not null,
  delta bigint not null,
  available_after bigint not null,
  order_id uuid,
  reason text,
  -- The user who did it; null when an order did.
  changed_by uuid,
  -- The route or the subject of the message it came by.
  source text not null,
  created_at timestamptz not null,
  primary key (product_id, stock_version),
  constraint stock_movement_kind_known check (kind in ('initial', 'change', 'reservation', 'release')),
  constraint stock_movement_available_after_not_negative check (available_after >= 0),
  constraint stock_movement_names_who check (
    case
      when kind in ('reservation', 'release') then order_id is not null
      else order_id is null and changed_by is not null and (kind = 'initial' or reason is not null)
    end
  )
);
-- An order takes a product once and gives it back once, whatever the program believes.
create unique index stock_movement_of_order on stock_movement (order_id, product_id, kind) where order_id is not null;

-- Every price a product had. Append-only.
create table price_change (
  product_id uuid not null references product (id),
  price_version bigint not null,
  amount bigint not null,
  currency text not null,
  changed_by uuid not null,
  source text not null,
  created_at timestamptz not null,
  primary key (product_id, price_version)
);

-- What was decided for each order. Never pruned: it is the natural key that keeps a message from acting twice.
create table reservation (
  order_id uuid primary key,
  state text not null,
  -- What is set aside, a product once: [{"productId", "quantity"}]. Empty unless it was reserved.
  lines jsonb not null,
  refusal_reason text,
  -- The number of events about it; 0 for an order that was cancelled before it was seen.
  version bigint not null,
  created_at timestamptz not null,
  released_at timestamptz,
  constraint reservation_state_known check (state in ('reserved', 'refused', 'released')),
  constraint reservation_refusal_has_reason check ((state = 'refused') = (refusal_reason is not null)),
  constraint reservation_release_has_time check ((state = 'released') = (released_at is not null))
);

-- The database itself refuses a stock or a price that no row explains. Runs when the statement is complete.
create function refuse_unexplained_stock() returns trigger
  language plpgsql
as $$
begin
  if not exists (
    select
    from stock_movement
    where product_id = new.id
      and stock_version = new.stock_version
      and available_after = new.available
  ) then
    raise exception 'The stock of product % changed without its movement', new.id using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end
$$;
create trigger product_stock_is_explained
  after insert or update of available, stock_version on product
  for each row execute function refuse_unexplained_stock();

create function refuse_unexplained_price() returns trigger
  language plpgsql
as $$
begin
  if not exists (
    select
    from price_change
    where product_id = new.id
      and price_version = new.price_version
      and (amount, currency) = (new.price_amount, new.price_currency)
  ) then
    raise exception 'The price of product % changed without its record', new.id using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end
$$;
create trigger product_price_is_explained
  after insert or update of price_amount, price_currency, price_version on product
  for each row execute function refuse_unexplained_price();

create function refuse_rewriting() returns trigger
  language plpgsql
as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$;
create trigger stock_movement_is_append_only
  before update or delete or truncate on stock_movement
  for each statement execute function refuse_rewriting();
create trigger price_change_is_append_only
  before update or delete or truncate on price_change
  for each statement execute function refuse_rewriting();
create trigger reservation_is_never_pruned
  before delete or truncate on reservation
  for each statement execute function refuse_rewriting();
