-- The orders of the run's interval, from one country.
SELECT id, country, ordered_at, amount
FROM raw_orders
WHERE ordered_at >= :interval_start
  AND ordered_at < :interval_end
  AND country = :country
