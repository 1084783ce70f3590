-- Of the commits of a range of seq, by budget: how many, what was held for them, what was charged and what they really cost.
SELECT u.id, count(*) AS commits, sum(r.amount) AS held, sum(e.charged) AS charged, sum(e.amount) AS actual
FROM ledger_entry AS e
JOIN reservation AS r ON r.id = e.reservation_id
CROSS JOIN LATERAL unnest(e.budget_ids) AS u (id)
WHERE e.seq > %(after)s AND e.seq <= %(until)s AND e.kind = 'COMMIT'
GROUP BY u.id
