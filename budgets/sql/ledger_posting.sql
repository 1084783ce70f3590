-- Ledger entries as rows, one for each budget that an entry touched: for reading and for proofs, not for the hot path.
CREATE VIEW ledger_posting AS
SELECT
    e.seq, e.kind, e.at, e.reservation_id, e.unit, b.budget_id,
    e.deltas[5 * n - 4] AS allocated_delta,
    e.deltas[5 * n - 3] AS reserved_delta,
    e.deltas[5 * n - 2] AS spent_delta,
    e.deltas[5 * n - 1] AS debt_delta,
    e.deltas[5 * n] AS uncovered_delta,
    e.balances[7 * n - 6] AS allocated,
    e.balances[7 * n - 5] AS reserved,
    e.balances[7 * n - 4] AS spent,
    e.balances[7 * n - 3] AS debt,
    e.balances[7 * n - 2] AS uncovered,
    e.balances[7 * n - 1] AS overdraft_limit,
    e.balances[7 * n] = 1 AS is_over_limit
FROM ledger_entry AS e
CROSS JOIN LATERAL unnest(e.budget_ids) WITH ORDINALITY AS b (budget_id, n)
