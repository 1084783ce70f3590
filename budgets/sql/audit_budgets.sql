-- Every budget as it stands, beside what its active reservations hold.
SELECT
    b.id, b.scope_path, b.unit, b.allocated, b.reserved, b.spent, b.debt, b.uncovered, b.overdraft_limit,
    (b.is_capped OR b.debt > b.overdraft_limit)::int AS is_over_limit,
    coalesce(h.held, 0) AS held
FROM budget AS b
LEFT JOIN (
    SELECT u.id, sum(r.amount) AS held
    FROM reservation AS r
    CROSS JOIN LATERAL unnest(r.budget_ids) AS u (id)
    WHERE r.status = 'ACTIVE'
    GROUP BY u.id
) AS h ON h.id = b.id
