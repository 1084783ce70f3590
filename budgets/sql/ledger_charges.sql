-- What the budgets were charged by the entries behind `after` up to `until`, by unit, as their own columns changed: all budgets of one entry alike.
SELECT
    e.unit,
    count(*) FILTER (WHERE e.kind <> 'CORRECTION') AS calls,
    sum(e.deltas[3]::numeric + e.deltas[4]) AS charged,
    sum(e.deltas[5]) AS uncovered
FROM ledger_entry AS e
WHERE e.seq > %(after)s AND e.seq <= %(until)s AND e.kind IN ('COMMIT', 'EVENT', 'CORRECTION')
GROUP BY e.unit
