-- Holds and events of a range of seq that passed a budget and left out one above it (each pair as: below, above, since which seq both exist).
SELECT DISTINCT e.seq, e.kind, pair.above
FROM ledger_entry AS e
CROSS JOIN LATERAL unnest(e.budget_ids) AS touched (id)
JOIN unnest(%(below)s::uuid[], %(above)s::uuid[], %(since)s::bigint[]) AS pair (below, above, since)
    ON pair.below = touched.id AND e.seq > pair.since
WHERE e.seq > %(after)s AND e.seq <= %(until)s AND e.kind IN ('RESERVE', 'EVENT') AND NOT pair.above = ANY (e.budget_ids)
ORDER BY e.seq
LIMIT %(at_most)s
