-- Under which key somebody changed the stock: the same change sent again finds its movement. See docs/decisions/0071.
alter table stock_movement add column idempotency_key text;
create unique index stock_movement_of_key on stock_movement (changed_by, idempotency_key)
  where idempotency_key is not null;
