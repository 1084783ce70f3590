-- The entries of a range of seq, folded: what each budget had before the first, what it has after the last, and the first entry that does
-- not continue the one before it. Sums are numeric, so that a damaged amount is found and does not overflow.
WITH line AS (
    SELECT
        p.budget_id, p.seq,
        ARRAY[p.allocated, p.reserved, p.spent, p.debt, p.uncovered]::numeric[] AS balances,
        ARRAY[
            p.allocated::numeric - p.allocated_delta, p.reserved::numeric - p.reserved_delta, p.spent::numeric - p.spent_delta,
            p.debt::numeric - p.debt_delta, p.uncovered::numeric - p.uncovered_delta
        ] AS opening,
        p.overdraft_limit, p.is_over_limit
    FROM ledger_posting AS p
    WHERE p.seq > %(after)s AND p.seq <= %(until)s
), chained AS (
    SELECT line.*, lag(line.balances) OVER (PARTITION BY line.budget_id ORDER BY line.seq) AS before FROM line
)
SELECT
    c.budget_id,
    min(c.seq) AS first_seq,
    (array_agg(c.opening ORDER BY c.seq))[1:1] AS opening,
    (array_agg(c.balances || ARRAY[c.overdraft_limit, c.is_over_limit::int]::numeric[] ORDER BY c.seq DESC))[1:1] AS closing,
    min(c.seq) FILTER (WHERE c.before <> c.opening) AS broken_seq
FROM chained AS c
GROUP BY c.budget_id
