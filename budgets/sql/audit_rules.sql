-- The entries of a range of seq that break a rule of their kind: one row for each rule and entry, the first ones only.
WITH line AS (
    SELECT
        e.seq, e.kind, e.at, e.unit, e.amount::numeric AS amount, e.charged::numeric AS charged, e.expires_at, e.reservation_id,
        e.budget_ids, e.event_id, e.endpoint, e.idempotency_key, e.payload_hash, e.period_starts_at,
        cardinality(e.budget_ids) AS width, cardinality(e.deltas) AS deltas_width, cardinality(e.balances) AS balances_width,
        b.id AS budget_id, b.unit AS budget_unit,
        p.allocated_delta::numeric AS d_allocated, p.reserved_delta::numeric AS d_reserved, p.spent_delta::numeric AS d_spent,
        p.debt_delta::numeric AS d_debt, p.uncovered_delta::numeric AS d_uncovered,
        p.allocated::numeric AS allocated, p.reserved::numeric AS reserved, p.spent::numeric AS spent, p.debt::numeric AS debt,
        p.uncovered::numeric AS uncovered, p.overdraft_limit::numeric AS overdraft_limit, p.is_over_limit,
        -- what a charge of this entry could have been paid from
        p.allocated::numeric - p.reserved - p.spent - p.debt
        - (p.allocated_delta::numeric - p.reserved_delta - p.spent_delta - p.debt_delta) AS remaining_before,
        r.id AS hold_id, r.status AS hold_status, r.amount::numeric AS hold_amount, r.unit AS hold_unit, r.budget_ids AS hold_budgets,
        r.overage_policy AS hold_policy, r.actual::numeric AS hold_actual, r.charged::numeric AS hold_charged,
        r.expires_at AS hold_expires, r.due_at AS hold_due, r.grace_ms AS hold_grace_ms, r.extensions AS hold_extensions,
        e.kind IN ('RESERVE', 'COMMIT', 'RELEASE', 'EXPIRE', 'EXTEND') AS is_of_hold,
        e.kind IN ('COMMIT', 'EVENT') AS is_charge
    FROM ledger_entry AS e
    LEFT JOIN ledger_posting AS p ON p.seq = e.seq
    LEFT JOIN budget AS b ON b.id = p.budget_id
    LEFT JOIN reservation AS r ON r.id = e.reservation_id
    WHERE e.seq > %(after)s AND e.seq <= %(until)s
), broken AS (
    SELECT line.seq, line.kind, rule.name, rule.invariant
    FROM line
    CROSS JOIN LATERAL (VALUES
        ('I2', 'names each budget once, with 5 deltas and 7 balances', line.deltas_width IS DISTINCT FROM 5 * line.width
            OR line.balances_width IS DISTINCT FROM 7 * line.width
            OR line.width <> (SELECT count(DISTINCT u) FROM unnest(line.budget_ids) AS u)),
        ('I2', 'names a budget that exists', line.width > 0 AND line.budget_id IS NULL),
        ('L12', 'has the unit of its budgets', line.unit <> line.budget_unit),
        ('I3', 'leaves no amount below zero', least(line.allocated, line.reserved, line.spent, line.debt, line.uncovered) < 0),
        ('L5', 'says that debt above the overdraft limit is over the limit', line.debt > line.overdraft_limit AND NOT line.is_over_limit),

        -- reservations
        ('I5', 'names a reservation that exists', line.is_of_hold AND line.hold_id IS NULL),
        ('L10', 'touches the budgets of its reservation', line.is_of_hold AND line.budget_ids <> line.hold_budgets),
        ('L12', 'has the unit of its reservation', line.is_of_hold AND line.unit <> line.hold_unit),
        ('I3', 'holds its amount on every budget and changes nothing else', line.kind = 'RESERVE' AND (
            line.d_reserved <> line.amount OR line.amount <> line.hold_amount
            OR (line.d_allocated, line.d_spent, line.d_debt, line.d_uncovered) <> (0, 0, 0, 0))),
        ('I4', 'leaves no budget overdrawn', line.kind = 'RESERVE' AND line.d_reserved > 0
            AND line.allocated - line.reserved - line.spent - line.debt < 0),
        ('I5', 'is what became of its reservation', line.hold_status <> CASE line.kind
            WHEN 'COMMIT' THEN 'COMMITTED' WHEN 'RELEASE' THEN 'RELEASED' WHEN 'EXPIRE' THEN 'EXPIRED' END),
        ('I3', 'gives the whole hold back', line.kind IN ('COMMIT', 'RELEASE', 'EXPIRE') AND line.d_reserved <> -line.hold_amount),
        ('L10', 'changes nothing but the hold', line.kind IN ('RELEASE', 'EXPIRE')
            AND (line.d_allocated, line.d_spent, line.d_debt, line.d_uncovered) <> (0, 0, 0, 0)),
        ('L7', 'changes no amount', line.kind = 'EXTEND'
            AND (line.d_allocated, line.d_reserved, line.d_spent, line.d_debt, line.d_uncovered) <> (0, 0, 0, 0, 0)),
        ('L7', 'ends no later than its reservation', line.kind IN ('RESERVE', 'EXTEND') AND line.expires_at > line.hold_expires),
        ('L7', 'ends when its reservation ends', line.kind = 'RESERVE' AND line.hold_extensions = 0 AND line.expires_at <> line.hold_expires),
        ('L7', 'is within the grace period', line.kind = 'COMMIT' AND line.at > line.hold_due),
        ('L7', 'is after the grace period', line.kind = 'EXPIRE' AND line.at <= line.hold_due),

        -- charges
        ('I8', 'charges every budget the same', line.is_charge AND line.d_spent + line.d_debt IS DISTINCT FROM line.charged),
        ('L4', 'keeps what was not covered', line.is_charge AND line.d_uncovered IS DISTINCT FROM line.amount - line.charged),
        ('L4', 'books what its reservation says', line.kind = 'COMMIT'
            AND (line.amount, line.charged) IS DISTINCT FROM (line.hold_actual, line.hold_charged)),
        ('L4', 'changes no allocation', line.is_charge AND line.d_allocated <> 0),
        ('L4', 'releases no hold', line.kind = 'EVENT' AND line.d_reserved <> 0),
        ('L5', 'charges no more than was held, under REJECT', line.kind = 'COMMIT' AND line.hold_policy = 'REJECT'
            AND (line.amount > line.hold_amount OR line.d_debt <> 0 OR line.d_uncovered <> 0)),
        ('L5', 'makes no debt, under ALLOW_IF_AVAILABLE', line.kind = 'COMMIT' AND line.hold_policy = 'ALLOW_IF_AVAILABLE' AND line.d_debt <> 0),
        ('L5', 'pays no more than there is', line.is_charge AND line.d_debt = 0
            AND line.d_spent - CASE line.kind WHEN 'COMMIT' THEN least(line.hold_amount, line.amount) ELSE 0 END
            > greatest(line.remaining_before, 0)),
        ('L5', 'keeps debt within the overdraft limit', line.is_charge AND line.d_debt > 0 AND line.debt > line.overdraft_limit),
        ('L5', 'never takes debt back', line.is_charge AND line.d_debt < 0),

        -- money moved by people, and periods
        ('I3', 'touches no hold', NOT line.is_of_hold AND NOT line.is_charge AND line.d_reserved <> 0),
        ('L20', 'changes no consumption', line.kind IN (
            'CREATE', 'CREDIT', 'DEBIT', 'RESET', 'REPAY_DEBT', 'REALLOCATE', 'UPDATE', 'FREEZE', 'UNFREEZE', 'CLOSE'
        ) AND line.d_spent + line.d_debt + line.d_uncovered <> 0),
        ('L14', 'begins its period with nothing spent', line.kind = 'ROLLOVER'
            AND (line.spent, line.uncovered, line.d_reserved, line.d_debt) <> (0, 0, 0, 0)),
        ('L14', 'says which period it opens', line.kind = 'ROLLOVER' AND (line.period_starts_at IS NULL OR line.width <> 1)),

        -- answers that can be had again
        ('I6', 'carries the key that its answer can be had again by', line.endpoint IS NOT NULL
            AND (line.idempotency_key IS NULL) <> (line.payload_hash IS NULL)),
        ('I6', 'carries the id that it answered', line.kind = 'EVENT' AND line.event_id IS NULL),
        ('I6', 'has the decision that answers its key', line.kind = 'RESERVE' AND NOT EXISTS (
            SELECT FROM decision AS d
            WHERE d.id = line.reservation_id AND d.ledger_seq = line.seq AND d.is_replayable AND d.endpoint = 'reserve'
        ))
    ) AS rule (invariant, name, is_broken)
    WHERE rule.is_broken
    UNION
    SELECT moved.seq, 'REALLOCATE', 'moves a sum without changing it', 'I2'
    FROM ledger_posting AS moved
    WHERE moved.seq > %(after)s AND moved.seq <= %(until)s AND moved.kind = 'REALLOCATE'
    GROUP BY moved.seq
    HAVING sum(moved.allocated_delta) <> 0
)
SELECT broken.invariant, broken.seq, broken.kind, broken.name
FROM broken
ORDER BY broken.seq, broken.invariant, broken.name
LIMIT %(at_most)s
