-- Until when the next attempt has to wait after one that brought the level to `level`. `throttle_delay` stays for replicas of
-- the version before, which may still run beside this one.
create or replace function throttle_until(
  attempted_at timestamptz,
  level double precision,
  free double precision,
  first_seconds double precision,
  max_seconds double precision
) returns timestamptz language sql stable as $$
  select case
    -- Not "now": another attempt may have read its clock a moment earlier, or a clock that is behind.
    when level < free then '-infinity'
    else attempted_at + make_interval(secs => least(max_seconds, first_seconds * power(2, least(ceil(level - free), 20))))
  end
$$;
