-- All tenants together, from the worker's notes. Amounts are of the tenants whose own budget is in USD. `quarters_spent` are the last 96 quarters of an hour.
WITH noted AS MATERIALIZED (
    SELECT s.*, s.unit IN ('USD_MICROCENTS', '') AS is_usd
    FROM tenant_standing AS s
    JOIN tenant AS t ON t.id = s.tenant_id
    WHERE s.as_of IS NOT NULL AND t.status <> 'CLOSED'
)
SELECT
    (SELECT count(*) FROM tenant) AS tenants,
    count(*) AS noted,
    sum(spent_today) FILTER (WHERE is_usd AND day_ends_at > %(now)s) AS spent_today,
    sum(spent_hour) FILTER (WHERE is_usd) AS spent_hour,
    sum(reserved) FILTER (WHERE is_usd) AS held,
    sum(denied_hour) AS denied_hour,
    count(*) FILTER (WHERE denied_hour > 0) AS tenants_denied,
    count(*) FILTER (WHERE unit <> '' AND (is_over_limit OR taken_ppm >= 1000000)) AS exhausted,
    count(*) FILTER (WHERE unit <> '' AND NOT is_over_limit AND taken_ppm >= 900000 AND taken_ppm < 1000000) AS near,
    count(*) FILTER (WHERE exhausts_at > %(now)s AND exhausts_at <= %(exhausting_until)s) AS exhausting,
    sum(holds_open) AS holds_open,
    min(oldest_hold_at) AS oldest_hold_at,
    min(as_of) AS oldest_as_of,
    (
        SELECT jsonb_agg(jsonb_build_array(c.code, c.count) ORDER BY c.count DESC, c.code)
        FROM (
            SELECT d.key AS code, sum(d.value::bigint) AS count
            FROM noted AS n
            CROSS JOIN LATERAL jsonb_each_text(n.denied_causes) AS d
            GROUP BY d.key
        ) AS c
    ) AS causes,
    ARRAY(
        SELECT coalesce(sum(q.spent), 0)
        FROM generate_series(%(quarters_until)s - %(quarters)s * interval '15 minutes', %(quarters_until)s - interval '15 minutes', '15 minutes') AS g (at)
        LEFT JOIN (
            SELECT n.quarters_until - (cardinality(n.quarters) - u.place + 1) * interval '15 minutes' AS at, sum(u.spent) AS spent
            FROM noted AS n
            CROSS JOIN LATERAL unnest(n.quarters) WITH ORDINALITY AS u (spent, place)
            WHERE n.is_usd AND u.spent <> 0
            GROUP BY 1
        ) AS q ON q.at = g.at
        GROUP BY g.at
        ORDER BY g.at
    ) AS quarters_spent
FROM noted
