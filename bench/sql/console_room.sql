-- Every budget is given what it needed for the day that was made, and some room.
UPDATE budget AS b SET spent = s.charged, allocated = s.charged * 100 / %(taken_percent)s + 100000000,
    period_allocation = s.charged * 100 / %(taken_percent)s + 100000000
FROM (
    SELECT b.id, coalesce(sum(r.charged), 0)::bigint AS charged
    FROM budget AS b
    LEFT JOIN usage_rollup AS r ON r.bucket_at >= b.period_starts_at AND (r.scope_path = b.scope_path OR starts_with(r.scope_path, b.scope_path || '/'))
    GROUP BY b.id
) AS s
WHERE s.id = b.id
