-- The airlines by punctuality, airport by airport.
WITH shares AS (
    SELECT
        origin,
        carrier,
        airline,
        count(*) AS arrived,
        round(avg(CAST(on_time AS INT)), 4) AS on_time_share
    FROM silver_flights_enriched
    WHERE arr_delay IS NOT NULL
    GROUP BY origin, carrier, airline
    HAVING count(*) >= 100 -- below that a share says little
)

SELECT
    *,
    -- A tie goes to the airline with more flights, then to the alphabet: two runs, one ranking.
    row_number() OVER (
        PARTITION BY origin
        ORDER BY on_time_share DESC, arrived DESC, carrier
    ) AS place
FROM shares
