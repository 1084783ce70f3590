-- The period that holds an instant and, going back, those that it can be compared with: the same weekday of the weeks before for a day, the
-- periods before for a week and a month. `ago` is 0 for the period that holds the instant.
WITH RECURSIVE step AS (
    SELECT 0 AS n, bounds.starts_at, bounds.ends_at
    FROM period_bounds_v1(%(period)s, %(anchor)s::date, %(time_zone)s, %(at)s::timestamptz) AS bounds
    UNION ALL
    SELECT step.n + 1, before.starts_at, before.ends_at
    FROM step
    CROSS JOIN LATERAL period_bounds_v1(%(period)s, %(anchor)s::date, %(time_zone)s, step.starts_at - interval '1 microsecond') AS before
    WHERE step.n < %(ago_max)s * %(apart)s
)
SELECT step.n / %(apart)s AS ago, step.starts_at, step.ends_at
FROM step
WHERE step.n %% %(apart)s = 0
ORDER BY step.n
