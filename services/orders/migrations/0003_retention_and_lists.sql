-- Keys are forgotten by age.
create index idempotency_by_age on idempotency (created_at);

-- What managers look for among all orders is found without reading those that went well. Only an order that ends so
-- is written here: placing and confirming pay nothing. See docs/decisions/0074.
create index orders_rejected on orders (order_id desc) where status = 'rejected';
create index orders_cancelled on orders (order_id desc) where status = 'cancelled';
