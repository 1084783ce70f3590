-- The entries of a range of seq that break a rule of their kind as a whole: one row for each entry and rule, the first ones only.
SELECT split_part(rule, '|', 1) AS invariant, judged.seq, judged.kind, split_part(rule, '|', 2) AS name
FROM (
    SELECT e.seq, e.kind, array_remove(ARRAY[
        CASE WHEN cardinality(e.deltas) <> 5 * cardinality(e.budget_ids) OR cardinality(e.balances) <> 7 * cardinality(e.budget_ids)
            OR cardinality(e.budget_ids) <> (SELECT count(DISTINCT u) FROM unnest(e.budget_ids) AS u)
            THEN 'I2|names each budget once, with 5 deltas and 7 balances' END,
        CASE WHEN e.kind = 'REALLOCATE' AND (
                SELECT sum(d.delta) FROM unnest(e.deltas) WITH ORDINALITY AS d (delta, n) WHERE mod(d.n, 5) = 1
            ) <> 0
            THEN 'I2|moves a sum without changing it' END,

        -- what an entry and its reservation say of each other
        CASE WHEN e.kind IN ('RESERVE', 'COMMIT', 'RELEASE', 'EXPIRE', 'EXTEND') AND r.id IS NULL
            THEN 'I5|names a reservation that exists' END,
        CASE WHEN e.budget_ids <> r.budget_ids THEN 'L10|touches the budgets of its reservation' END,
        CASE WHEN e.unit <> r.unit THEN 'L12|has the unit of its reservation' END,
        CASE WHEN e.kind IN ('RESERVE', 'RELEASE', 'EXPIRE') AND e.amount <> r.amount THEN 'I3|says what its reservation holds' END,
        CASE WHEN r.status <> CASE e.kind WHEN 'COMMIT' THEN 'COMMITTED' WHEN 'RELEASE' THEN 'RELEASED' WHEN 'EXPIRE' THEN 'EXPIRED' END
            THEN 'I5|is what became of its reservation' END,
        CASE WHEN e.kind = 'COMMIT' AND (e.amount, e.charged) IS DISTINCT FROM (r.actual, r.charged)
            THEN 'L4|books what its reservation says' END,
        CASE WHEN e.kind = 'COMMIT' AND r.overage_policy = 'REJECT' AND e.amount > r.amount
            THEN 'L5|charges no more than was held, under REJECT' END,
        CASE WHEN e.kind IN ('RESERVE', 'EXTEND') AND e.expires_at > r.expires_at THEN 'L7|ends no later than its reservation' END,
        CASE WHEN e.kind = 'RESERVE' AND r.extensions = 0 AND e.expires_at <> r.expires_at THEN 'L7|ends when its reservation ends' END,
        CASE WHEN e.kind = 'COMMIT' AND e.at > r.due_at THEN 'L7|is within the grace period' END,
        CASE WHEN e.kind = 'EXPIRE' AND e.at <= r.due_at THEN 'L7|is after the grace period' END,

        CASE WHEN e.kind = 'ROLLOVER' AND (e.period_starts_at IS NULL OR cardinality(e.budget_ids) <> 1)
            THEN 'L14|says which period it opens' END,

        -- answers that can be had again
        CASE WHEN e.endpoint IS NOT NULL AND (e.idempotency_key IS NULL) <> (e.payload_hash IS NULL)
            THEN 'I6|carries the key that its answer can be had again by' END,
        CASE WHEN e.kind = 'EVENT' AND e.event_id IS NULL THEN 'I6|carries the id that it answered' END,
        CASE WHEN e.kind = 'RESERVE' AND NOT EXISTS (
                SELECT
                FROM decision AS d
                WHERE d.id = e.reservation_id AND d.ledger_seq = e.seq AND d.is_replayable AND d.endpoint IN ('reserve', 'admit')
            )
            THEN 'I6|has the decision that answers its key' END
    ], NULL) AS broken
    FROM ledger_entry AS e
    LEFT JOIN reservation AS r ON r.id = e.reservation_id
    WHERE e.seq > %(after)s AND e.seq <= %(until)s
) AS judged
CROSS JOIN LATERAL unnest(judged.broken) AS rule
ORDER BY judged.seq, rule
LIMIT %(at_most)s
