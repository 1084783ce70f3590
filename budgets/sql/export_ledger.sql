-- One page of a tenant's ledger entries in order, each with the scopes that it touched, root first.
SELECT
    e.seq, e.at, e.kind, e.unit, e.amount, e.charged, e.reservation_id, e.event_id,
    (
        SELECT coalesce(array_agg(b.scope_path ORDER BY u.n), '{}')
        FROM unnest(e.budget_ids) WITH ORDINALITY AS u (id, n)
        JOIN budget AS b ON b.id = u.id
    ) AS scopes,
    coalesce(r.action, e.action) ->> 'kind' AS action_kind, coalesce(r.action, e.action) ->> 'name' AS action_name, r.run_id, e.actor, e.reason, e.request_id, e.trace_id
FROM ledger_entry AS e
LEFT JOIN LATERAL (SELECT action, run_id FROM reservation WHERE id = e.reservation_id OFFSET 0) AS r ON true
WHERE e.seq > %(after)s AND e.seq <= %(until)s
ORDER BY e.seq
LIMIT %(at_most)s
