-- Pictures of products. See docs/decisions/0075.
alter table product
  -- By place: [{"n", "key", "width", "height"}]. Part of the row, so that lists need no join.
  add column pictures jsonb not null default '[]',
  add constraint product_pictures_bounds check (jsonb_typeof(pictures) = 'array' and jsonb_array_length(pictures) <= 8);

-- Objects that belong to no product: of uploads under way, and of pictures that were replaced. Deleted from then on.
create table picture_orphan (
  picture_key text primary key,
  delete_from timestamptz not null
);
create index picture_orphan_by_time on picture_orphan (delete_from);

-- The ledger is append-only not only by trigger. The comment keeps provisioning from granting it again.
comment on table stock_movement is 'append-only: why the stock of each product is what it is';
comment on table price_change is 'append-only: every price a product had';
do $$
declare
  granted record;
begin
  for granted in
    select ledger, acl.grantee::regrole as role
    from unnest(array['stock_movement'::regclass, 'price_change'::regclass]) as ledger
    join pg_class on pg_class.oid = ledger
    cross join aclexplode(pg_class.relacl) as acl
    where acl.grantee not in (0, pg_class.relowner)
    group by 1, 2
  loop
    execute format('revoke update, delete, truncate on %s from %s', granted.ledger, granted.role);
  end loop;
end
$$;
