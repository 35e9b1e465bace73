import { ordersEvents, QUANTITY_MAX } from '@saas/contracts'

const linesOf = (source: string): string => `
    from rows from (jsonb_to_recordset(${source}.lines) as ("productId" uuid, quantity int, amount bigint, currency text))
      with ordinality as line (product_id, quantity, amount, currency, position)
    join product_copy using (product_id)`

const PRICE = `jsonb_build_object('amount', product_copy.amount, 'currency', product_copy.currency)`

/**
 * Lines of `source` with names and prices as they are now, and the price they were put in at where that is another.
 * Whatever is in a cart was once known, and copies are never deleted.
 */
export const itemsOf = (source: string): string => `(
    select jsonb_agg(jsonb_build_object(
      'productId', product_copy.product_id,
      'name', product_copy.name,
      'quantity', line.quantity,
      'unitPrice', ${PRICE},
      'available', not product_copy.deleted
    ) || case
      when (line.amount, line.currency) <> (product_copy.amount, product_copy.currency)
      then jsonb_build_object('priceWas', jsonb_build_object('amount', line.amount, 'currency', line.currency))
      else '{}'
    end order by line.position)${linesOf(source)}
  )`

/**
 * Lines of two carts with those of one product summed, at the price of the first. The sum stays within the stock that the
 * later one names; of what is sold out nothing is added, and nothing is taken from what the earlier one has.
 */
export const summed = (lines: string): string => `(
    select coalesce(jsonb_agg(
      jsonb_build_object('productId', product_id, 'quantity', quantity, 'amount', amount, 'currency', currency)
      order by position
    ), '[]')
    from (
      select
        product_id,
        case
          when min(stock) = 0 then sum(quantity) filter (where stock is null)
          else least(sum(quantity), ${QUANTITY_MAX}, min(stock))
        end as quantity,
        (array_agg(amount order by position))[1] as amount,
        (array_agg(currency order by position))[1] as currency,
        min(position) as position
      from rows from (
        jsonb_to_recordset(${lines}) as ("productId" uuid, quantity bigint, stock bigint, amount bigint, currency text)
      ) with ordinality as line (product_id, quantity, stock, amount, currency, position)
      group by product_id
    ) as product
    where quantity > 0
  )`

/** The event of each row of `changed`; what is not for sale any more is nothing to be reminded of. */
export const sendChanged = (eventId: string, changedAt: string, traceParent: string): string => `
  insert into outbox (id, aggregate_type, aggregate_id, aggregate_version, subject, data, trace_parent, created_at)
  select
    ${eventId}::uuid, '${ordersEvents.cartChanged.aggregate}', user_id::text, version, '${ordersEvents.cartChanged.subject}',
    jsonb_build_object(
      'userId', user_id,
      'lines', coalesce((
        select jsonb_agg(jsonb_build_object(
          'productId', product_copy.product_id,
          'name', product_copy.name,
          'quantity', line.quantity,
          'unitPrice', ${PRICE}
        ) order by line.position)${linesOf('changed')}
        where not product_copy.deleted
      ), '[]'),
      'changedAt', ${changedAt}::text
    ),
    ${traceParent}, ${changedAt}::text::timestamptz
  from changed
`
