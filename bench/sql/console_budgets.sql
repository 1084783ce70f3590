-- The budgets of a seeded tenant: its own, its workspaces and its agents, of today in its time zone. Amounts follow (`console_room`).
INSERT INTO budget (
    id, scope_path, depth, unit, allocated, reserved, spent, debt, uncovered, overdraft_limit, is_capped, is_low, status, period, anchor,
    period_starts_at, period_ends_at, rollover, period_allocation, created_at
)
SELECT
    gen_random_uuid(), b.path, b.depth, 'USD_MICROCENTS', 0, 0, 0, 0, 0, 0, false, false, 'ACTIVE', 'DAY', current_date - 40,
    d.starts_at, d.ends_at, 'NONE', 0, clock_timestamp() - interval '40 days'
FROM (
    SELECT 'tenant:' || %(slug)s AS path, 1 AS depth
    UNION ALL
    SELECT 'tenant:' || %(slug)s || '/workspace:' || w, 2 FROM unnest(%(workspaces)s::text[]) AS w
    UNION ALL
    SELECT 'tenant:' || %(slug)s || '/workspace:' || (%(workspaces)s::text[])[1 + (n - 1) %% 4] || '/agent:' || a, 3
    FROM unnest(%(agents)s::text[]) WITH ORDINALITY AS a (a, n)
) AS b
CROSS JOIN LATERAL (
    SELECT day AT TIME ZONE %(zone)s AS starts_at, (day + interval '1 day') AT TIME ZONE %(zone)s AS ends_at
    FROM date_trunc('day', clock_timestamp() AT TIME ZONE %(zone)s) AS day
) AS d
