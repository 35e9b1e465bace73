-- What lies in the cart comes with the first part of orders; null in what a version before sent.
alter table data_export_part add column cart jsonb;
