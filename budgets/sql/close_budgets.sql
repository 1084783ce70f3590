-- Closes the next budgets in the order of their ids, and writes the entries that say so: some budgets of one unit share an entry.
-- The caller holds ledger_head and gives the number of the last entry. Answers how many entries there are, and the last id; none at the end.
WITH step AS (
    SELECT b.*, (row_number() OVER (PARTITION BY b.unit ORDER BY b.id) - 1) / %(budgets_an_entry)s AS part
    FROM (SELECT * FROM budget WHERE status <> 'CLOSED' AND id > %(after)s ORDER BY id LIMIT %(at_most)s) AS b
), numbered AS (
    SELECT step.*, dense_rank() OVER (ORDER BY step.unit, step.part) AS number FROM step
), closed AS (
    UPDATE budget SET status = 'CLOSED' FROM step WHERE budget.id = step.id
), written AS (
    INSERT INTO ledger_entry (seq, kind, at, unit, budget_ids, deltas, balances, actor, reason, request_id, trace_id)
    SELECT
        %(last_seq)s + n.number, 'CLOSE', %(at)s, n.unit,
        array_agg(n.id ORDER BY n.id) FILTER (WHERE v.position = 1),
        array_fill(0::bigint, ARRAY[5 * (count(*) / 7)::int]),
        array_agg(v.value ORDER BY n.id, v.position),
        %(actor)s, %(reason)s, %(request_id)s, %(trace_id)s
    FROM numbered AS n
    CROSS JOIN LATERAL (
        VALUES
            (1, n.allocated), (2, n.reserved), (3, n.spent), (4, n.debt), (5, n.uncovered), (6, n.overdraft_limit),
            (7, (n.is_capped OR n.debt > n.overdraft_limit)::int::bigint)
    ) AS v (position, value)
    GROUP BY n.number, n.unit
)
SELECT coalesce(max(numbered.number), 0), (array_agg(numbered.id ORDER BY numbered.id DESC))[1] FROM numbered
