-- Charges of a range of seq that were asked for before `starts_at`, and corrections of charges that were booked before it: each with both times.
SELECT e.seq, e.kind, e.unit, x.asked_at, e.at AS booked_at,
    e.charged - CASE WHEN e.kind = 'CORRECTION' THEN (e.metadata ->> 'charged_before')::bigint ELSE 0 END AS charged,
    coalesce(r.scope_path, '') AS scope_path,
    coalesce(r.action ->> 'name', o.action ->> 'name', '') AS action_name
FROM ledger_entry AS e
LEFT JOIN LATERAL (
    SELECT at, action FROM ledger_entry WHERE seq = CASE WHEN e.kind = 'CORRECTION' THEN (e.metadata ->> 'corrects')::bigint END OFFSET 0
) AS o ON true
LEFT JOIN LATERAL (SELECT action, scope_path, created_at FROM reservation WHERE id = e.reservation_id OFFSET 0) AS r ON true
CROSS JOIN LATERAL (SELECT coalesce(r.created_at, o.at, e.at) AS asked_at) AS x
WHERE e.seq > %(after)s AND e.seq <= %(until)s AND e.kind IN ('COMMIT', 'CORRECTION') AND x.asked_at < %(starts_at)s
ORDER BY e.seq
LIMIT %(at_most)s
