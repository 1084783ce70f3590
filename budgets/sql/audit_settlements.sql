-- Reservations whose entries are not: one RESERVE, one settlement of the right kind if and only if it is settled, an EXTEND for each extension.
-- One statement sees one moment, so this may run beside traffic. It reads everything: asked only to name what the sums have found.
SELECT coalesce(r.id, e.reservation_id) AS id, r.status, e.kinds
FROM reservation AS r
FULL JOIN (
    SELECT
        ledger_entry.reservation_id,
        count(*) FILTER (WHERE kind = 'RESERVE') AS reserves,
        count(*) FILTER (WHERE kind = 'EXTEND') AS extends,
        count(*) FILTER (WHERE kind IN ('COMMIT', 'RELEASE', 'EXPIRE')) AS settlements,
        string_agg(kind, ', ' ORDER BY seq) AS kinds
    FROM ledger_entry
    WHERE ledger_entry.reservation_id IS NOT NULL
    GROUP BY ledger_entry.reservation_id
) AS e ON e.reservation_id = r.id
-- Of what began before the ledger does, not every entry is there.
WHERE (r.id IS NULL OR e.reservation_id IS NULL OR e.reserves <> 1 OR e.extends <> r.extensions
        OR e.settlements <> (r.status <> 'ACTIVE')::int)
    AND NOT EXISTS (SELECT FROM decision AS d WHERE d.id = r.id AND d.ledger_seq <= %(begins_after)s)
ORDER BY 1
LIMIT %(at_most)s
