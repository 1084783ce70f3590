-- Budgets of the tenant that may be worth an alert: low by their own mark, or with so many parts per million taken; none of a run.
SELECT id, scope_path, unit, allocated, reserved, spent, debt, period, period_starts_at, period_ends_at, is_low
FROM budget
WHERE
    run_id IS NULL AND status <> 'CLOSED' AND allocated > 0
    AND (is_low OR (reserved::numeric + spent + debt) * 1000000 >= allocated::numeric * %(taken_ppm)s)
    AND (period_ends_at IS NULL OR period_ends_at > %(now)s)
ORDER BY scope_path, unit
