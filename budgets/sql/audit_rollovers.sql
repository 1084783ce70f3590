-- Periods that were opened twice or out of order.
SELECT p.seq, p.budget_id, p.period_starts_at
FROM (
    SELECT
        e.seq, e.budget_ids[1] AS budget_id, e.period_starts_at,
        lag(e.period_starts_at) OVER (PARTITION BY e.budget_ids[1] ORDER BY e.seq) AS before
    FROM ledger_entry AS e
    WHERE e.kind = 'ROLLOVER'
) AS p
WHERE p.before >= p.period_starts_at
ORDER BY p.seq
LIMIT %(at_most)s
