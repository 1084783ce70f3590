-- The decisions that made the reservations behind `after` up to `until`, summed as `decision_rollup` keeps them. Such a decision has no action of its own.
-- None from before `kept_since`: of that time the sums are kept as they are, because others of its decisions were dropped.
SELECT
    date_bin('15 minutes', d.at, '2000-01-01 00:00:00+00') AS bucket_at, coalesce(d.scope_path, '') AS scope_path, d.endpoint,
    coalesce(coalesce(d.action, r.action) ->> 'kind', '') AS action_kind, coalesce(coalesce(d.action, r.action) ->> 'name', '') AS action_name,
    coalesce(d.admission ->> 'class', '') AS traffic_class, d.verdict, coalesce(d.reason_code, '') AS reason_code,
    coalesce(d.would_deny, '') AS would_deny, coalesce(substring(d.scope_path FROM '/agent:([^/]+)'), '') AS agent, count(*) AS count
FROM ledger_entry AS e
CROSS JOIN LATERAL (
    SELECT at, scope_path, endpoint, action, admission, verdict, reason_code, would_deny FROM decision WHERE id = e.reservation_id OFFSET 0
) AS d
LEFT JOIN LATERAL (SELECT action FROM reservation WHERE id = e.reservation_id OFFSET 0) AS r ON true
WHERE e.seq > %(after)s AND e.seq <= %(until)s AND e.kind = 'RESERVE' AND d.at >= coalesce(%(kept_since)s::timestamptz, '-infinity')
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
