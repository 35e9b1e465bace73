-- What orders must know of products to price an order without asking anybody: fed by product events.
create table product_copy (
  product_id uuid primary key,
  sku text not null,
  name text not null,
  amount bigint not null,
  currency text not null,
  price_version bigint not null,
  deleted boolean not null,
  -- Of the newest event applied: an older one that comes later changes nothing.
  version bigint not null
);

-- One row a user, so that a lock on it returns the whole cart fresh. Lines: [{"productId", "quantity"}], oldest first.
create table cart (
  user_id uuid primary key,
  lines jsonb not null,
  version bigint not null,
  updated_at timestamptz not null,
  check (jsonb_typeof(lines) = 'array' and jsonb_array_length(lines) <= 100)
);

create table orders (
  order_id uuid primary key,
  user_id uuid not null,
  status text not null check (status in ('pending', 'confirmed', 'rejected', 'cancelled')),
  -- Rises by one with each change of status and never otherwise; each version has one event.
  version bigint not null,
  reason text,
  total_amount bigint not null check (total_amount >= 0),
  currency text not null,
  created_at timestamptz not null,
  deadline_at timestamptz not null,
  decided_at timestamptz,
  check ((status = 'rejected') = (reason is not null)),
  check ((status = 'pending') = (decided_at is null))
);

-- Ids are UUIDv7, so their order is the order of time: history pages run along these two.
create index orders_by_user on orders (user_id, order_id desc);
create index orders_by_user_and_status on orders (user_id, status, order_id desc);
create index orders_undecided on orders (deadline_at) where status = 'pending';

-- Written once, in the statement that writes its order; a foreign key would check again what that statement guarantees.
create table order_line (
  order_id uuid not null,
  position int not null,
  product_id uuid not null,
  sku text not null,
  name text not null,
  quantity int not null check (quantity > 0),
  unit_amount bigint not null check (unit_amount >= 0),
  price_version bigint not null,
  primary key (order_id, position)
);

-- Which order a key made. Refusals leave no row: after one the same key may be tried again.
create table idempotency (
  user_id uuid not null,
  key text not null,
  fingerprint text not null,
  order_id uuid not null,
  created_at timestamptz not null,
  primary key (user_id, key)
);
