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

        -- a correction and the charge that it corrects
        CASE WHEN e.kind = 'CORRECTION' AND c.seq IS NULL THEN 'I2|names an earlier charge' END,
        CASE WHEN c.seq IS NOT NULL AND ((e.metadata ->> 'amount_before')::numeric, (e.metadata ->> 'charged_before')::numeric)
                IS DISTINCT FROM (c.amount, c.charged)
            THEN 'L4|continues what the charge came to' END,
        CASE WHEN e.budget_ids <> c.budget_ids THEN 'L10|touches the budgets of the charge' END,
        CASE WHEN e.unit <> c.unit THEN 'L12|has the unit of the charge' END,
        CASE WHEN e.kind = 'CORRECTION' AND (e.charged BETWEEN 0 AND e.amount) IS NOT TRUE THEN 'L4|charges no more than it cost' END,

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
    LEFT JOIN LATERAL (
        SELECT
            charge.seq, charge.budget_ids, charge.unit, coalesce(last.amount, charge.amount)::numeric AS amount,
            coalesce(last.charged, charge.charged)::numeric AS charged
        FROM ledger_entry AS charge
        LEFT JOIN LATERAL (
            SELECT k.amount, k.charged
            FROM ledger_entry AS k
            WHERE k.kind = 'CORRECTION' AND k.metadata ->> 'corrects' = charge.seq::text AND k.seq < e.seq
            ORDER BY k.seq DESC
            LIMIT 1
        ) AS last ON true
        -- Metadata of other kinds is the customer's own, and may say anything.
        WHERE charge.seq = CASE e.kind WHEN 'CORRECTION' THEN (e.metadata ->> 'corrects')::bigint END
            AND charge.seq < e.seq AND charge.kind IN ('COMMIT', 'EVENT')
    ) AS c ON true
    WHERE e.seq > %(after)s AND e.seq <= %(until)s
) AS judged
CROSS JOIN LATERAL unnest(judged.broken) AS rule
ORDER BY judged.seq, rule
LIMIT %(at_most)s
