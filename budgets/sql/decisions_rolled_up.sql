-- Every decision that the mark says is in the sums, summed as `decision_rollup` keeps them.
SELECT
    date_bin('15 minutes', d.at, '2000-01-01 00:00:00+00') AS bucket_at, coalesce(d.scope_path, '') AS scope_path, d.endpoint,
    coalesce(coalesce(d.action, r.action) ->> 'kind', '') AS action_kind, coalesce(coalesce(d.action, r.action) ->> 'name', '') AS action_name,
    coalesce(d.admission ->> 'class', '') AS traffic_class, d.verdict, coalesce(d.reason_code, '') AS reason_code,
    coalesce(d.would_deny, '') AS would_deny, coalesce(substring(d.scope_path FROM '/agent:([^/]+)'), '') AS agent, count(*) AS count
FROM decision AS d
LEFT JOIN reservation AS r ON d.ledger_seq IS NOT NULL AND r.id = d.id
WHERE d.ledger_seq <= %(ledger_seq)s
    OR (d.ledger_seq IS NULL AND (d.at < %(decisions_at)s OR (d.at = %(decisions_at)s AND d.id = ANY (%(decision_ids)s::uuid[]))))
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
