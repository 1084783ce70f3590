-- Budgets below the tenant's own that last no longer than so many seconds at the pace of the last hour; none of a run. Buckets that began more than an
-- hour ago count by the part of them that is not. A call is paid by every budget on the way down to where it was made.
WITH lately AS (
    SELECT
        scope_path, unit,
        round(sum(charged * least(1, extract(EPOCH FROM bucket_at + interval '15 minutes' - (%(now)s::timestamptz - interval '1 hour')) / 900))) AS charged
    FROM usage_rollup
    WHERE bucket_at > %(now)s::timestamptz - interval '75 minutes'
    GROUP BY scope_path, unit
), pace AS (
    SELECT array_to_string(p.parts[:n.depth], '/') AS scope_path, l.unit, sum(l.charged) AS charged
    FROM lately AS l
    CROSS JOIN LATERAL (SELECT string_to_array(l.scope_path, '/') AS parts) AS p
    CROSS JOIN LATERAL generate_series(2, cardinality(p.parts)) AS n (depth)
    WHERE l.charged > 0
    GROUP BY 1, 2
), left_over AS (
    SELECT
        b.id, b.scope_path, b.unit, b.period_starts_at, b.period_ends_at, p.charged AS spent_hour,
        b.allocated::numeric - b.reserved - b.spent - b.debt AS remaining
    FROM pace AS p
    INNER JOIN budget AS b USING (scope_path, unit)
    WHERE b.run_id IS NULL AND b.status <> 'CLOSED' AND (b.period_ends_at IS NULL OR b.period_ends_at > %(now)s)
)
SELECT id, scope_path, unit, period_starts_at, period_ends_at, spent_hour, remaining, div(remaining * 3600, spent_hour) AS lasts_s
FROM left_over
WHERE remaining > 0 AND remaining * 3600 <= spent_hour * (%(within_s)s + 1)
ORDER BY lasts_s, scope_path, unit
LIMIT %(at_most)s
