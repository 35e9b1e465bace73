-- What somebody changed, the newest first: for the export of their data. What orders do is in neither ledger's.
create index stock_movement_by_person on stock_movement (changed_by, created_at desc, product_id) where changed_by is not null;
create index price_change_by_person on price_change (changed_by, created_at desc, product_id);
create index product_deleted_by_person on product (deleted_by, deleted_at desc, id) where deleted_by is not null;
