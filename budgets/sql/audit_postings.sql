-- The entries of a range of seq that do to one of their budgets what their kind may not: one row for each entry and rule, the first ones only.
-- Amounts are numeric, so that a damaged one is found and does not overflow.
SELECT DISTINCT split_part(rule, '|', 1) AS invariant, judged.seq, judged.kind, split_part(rule, '|', 2) AS name
FROM (
    SELECT p.seq, p.kind, array_remove(ARRAY[
        CASE WHEN b.id IS NULL THEN 'I2|names a budget that exists' END,
        CASE WHEN p.unit <> b.unit THEN 'L12|has the unit of its budgets' END,
        CASE WHEN least(p.allocated, p.reserved, p.spent, p.debt, p.uncovered) < 0 THEN 'I3|leaves no amount below zero' END,
        CASE WHEN p.debt > p.overdraft_limit AND p.is_over_limit = 0 THEN 'L5|calls debt above the overdraft limit over the limit' END,

        -- holds
        CASE WHEN p.kind = 'RESERVE' AND (p.d_reserved <> p.amount OR (p.d_allocated, p.d_spent, p.d_debt, p.d_uncovered) <> (0, 0, 0, 0))
            THEN 'I3|holds its amount on every budget and changes nothing else' END,
        CASE WHEN p.kind = 'RESERVE' AND p.d_reserved > 0 AND p.remaining < 0 THEN 'I4|leaves no budget overdrawn' END,
        CASE WHEN p.kind IN ('COMMIT', 'RELEASE', 'EXPIRE') AND p.d_reserved <> -p.held THEN 'I3|gives the whole hold back' END,
        CASE WHEN p.kind IN ('RELEASE', 'EXPIRE') AND (p.d_allocated, p.d_spent, p.d_debt, p.d_uncovered) <> (0, 0, 0, 0)
            THEN 'L10|changes nothing but the hold' END,
        CASE WHEN p.kind = 'EXTEND' AND (p.d_allocated, p.d_reserved, p.d_spent, p.d_debt, p.d_uncovered) <> (0, 0, 0, 0, 0)
            THEN 'L7|changes no amount' END,
        CASE WHEN p.kind NOT IN ('RESERVE', 'COMMIT', 'RELEASE', 'EXPIRE') AND p.d_reserved <> 0 THEN 'I3|touches no hold' END,

        -- charges
        CASE WHEN p.is_charge AND p.d_spent + p.d_debt IS DISTINCT FROM p.charged THEN 'I8|charges every budget the same' END,
        CASE WHEN p.is_charge AND p.d_uncovered IS DISTINCT FROM p.amount - p.charged THEN 'L4|keeps what was not covered' END,
        CASE WHEN p.is_charge AND p.d_allocated <> 0 THEN 'L4|changes no allocation' END,
        CASE WHEN p.kind = 'COMMIT' AND p.policy = 'REJECT' AND (p.d_debt <> 0 OR p.d_uncovered <> 0)
            THEN 'L5|charges no more than was held, under REJECT' END,
        CASE WHEN p.kind = 'COMMIT' AND p.policy = 'ALLOW_IF_AVAILABLE' AND p.d_debt <> 0
            THEN 'L5|makes no debt, under ALLOW_IF_AVAILABLE' END,
        CASE WHEN p.is_charge AND p.d_debt = 0 AND p.d_spent - least(p.held, p.amount) > greatest(p.remaining_before, 0)
            THEN 'L5|pays no more than there is' END,
        CASE WHEN p.is_charge AND p.d_debt > 0 AND p.debt > p.overdraft_limit THEN 'L5|keeps debt within the overdraft limit' END,
        CASE WHEN p.is_charge AND p.d_debt < 0 THEN 'L5|never takes debt back' END,

        CASE WHEN p.kind = 'CORRECTION' AND p.d_spent + p.d_debt IS DISTINCT FROM p.charged - p.charged_before
            THEN 'I8|corrects every budget the same' END,
        CASE WHEN p.kind = 'CORRECTION' AND p.d_uncovered IS DISTINCT FROM p.amount - p.charged - (p.amount_before - p.charged_before)
            THEN 'L4|keeps what was not covered' END,
        CASE WHEN p.kind = 'CORRECTION' AND p.d_allocated <> 0 THEN 'L4|changes no allocation' END,
        CASE WHEN p.kind = 'CORRECTION' AND (p.d_debt > 0 OR (p.d_spent + p.d_debt > 0 AND p.d_spent > greatest(p.remaining_before, 0)))
            THEN 'L5|pays no more than there is' END,

        -- money moved by people, and periods
        CASE WHEN p.kind IN (
                'CREATE', 'CREDIT', 'DEBIT', 'RESET', 'REPAY_DEBT', 'REALLOCATE', 'UPDATE', 'FREEZE', 'UNFREEZE', 'CLOSE'
            ) AND p.d_spent + p.d_debt + p.d_uncovered <> 0
            THEN 'L20|changes no consumption' END,
        CASE WHEN p.kind = 'ROLLOVER' AND (p.spent, p.uncovered, p.d_debt) <> (0, 0, 0)
            THEN 'L14|begins its period with nothing spent' END
    ], NULL) AS broken
    FROM (
        SELECT
            q.*,
            q.allocated - q.reserved - q.spent - q.debt AS remaining,
            q.allocated - q.reserved - q.spent - q.debt - (q.d_allocated - q.d_reserved - q.d_spent - q.d_debt) AS remaining_before
        FROM (
            SELECT
                e.seq, e.kind, e.unit, e.amount::numeric AS amount, e.charged::numeric AS charged, e.budget_ids[n] AS budget_id,
                e.kind IN ('COMMIT', 'EVENT') AS is_charge,
                CASE e.kind WHEN 'CORRECTION' THEN (e.metadata ->> 'amount_before')::numeric END AS amount_before,
                CASE e.kind WHEN 'CORRECTION' THEN (e.metadata ->> 'charged_before')::numeric END AS charged_before,
                coalesce(r.amount, 0) AS held, r.overage_policy AS policy,
                e.deltas[5 * n - 4]::numeric AS d_allocated, e.deltas[5 * n - 3] AS d_reserved, e.deltas[5 * n - 2]::numeric AS d_spent,
                e.deltas[5 * n - 1] AS d_debt, e.deltas[5 * n] AS d_uncovered,
                e.balances[7 * n - 6]::numeric AS allocated, e.balances[7 * n - 5] AS reserved, e.balances[7 * n - 4] AS spent,
                e.balances[7 * n - 3] AS debt, e.balances[7 * n - 2] AS uncovered, e.balances[7 * n - 1] AS overdraft_limit,
                e.balances[7 * n] AS is_over_limit
            FROM ledger_entry AS e
            LEFT JOIN reservation AS r ON r.id = e.reservation_id
            CROSS JOIN LATERAL generate_series(1, cardinality(e.budget_ids)) AS n
            WHERE e.seq > %(after)s AND e.seq <= %(until)s
        ) AS q
    ) AS p
    LEFT JOIN budget AS b ON b.id = p.budget_id
) AS judged
CROSS JOIN LATERAL unnest(judged.broken) AS rule
ORDER BY judged.seq, invariant, name
LIMIT %(at_most)s
