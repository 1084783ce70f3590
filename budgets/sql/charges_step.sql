-- Charges and corrections of a range of seq, in order, each with the budgets that it touches and what it added to each: spent, debt, uncovered.
SELECT e.seq, e.kind, e.amount, e.budget_ids, e.deltas
FROM ledger_entry AS e
WHERE e.seq > %(after)s AND e.seq <= %(until)s AND e.kind IN ('COMMIT', 'EVENT', 'CORRECTION')
ORDER BY e.seq
