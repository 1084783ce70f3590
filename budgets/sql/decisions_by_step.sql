-- How many calls were decided, by step of time (as in `usage_by_step`) and by one word of the decision. `verdict` is empty for every one.
SELECT
    CASE %(step)s WHEN '15m' THEN bucket_at WHEN 'hour' THEN date_trunc('hour', bucket_at, %(zone)s) END AS step_at,
    CASE WHEN %(step)s IN ('day', 'week', 'month') THEN date_trunc(%(step)s, bucket_at AT TIME ZONE %(zone)s)::date END AS step_on,
    CASE %(by)s
        WHEN 'reason' THEN reason_code
        WHEN 'would_deny' THEN would_deny
        WHEN 'verdict' THEN verdict
        WHEN 'tool' THEN CASE WHEN lower(action_kind) = 'tool' OR lower(action_kind) LIKE 'tool.%%' THEN action_name ELSE '' END
        WHEN 'action' THEN action_name
        WHEN 'agent' THEN agent
        WHEN 'class' THEN traffic_class
        WHEN 'endpoint' THEN endpoint
        WHEN 'workspace' THEN coalesce(substring(scope_path FROM '/workspace:([^/]+)'), '')
        ELSE ''
    END AS name,
    sum(count) AS count,
    coalesce(sum(count) FILTER (WHERE verdict = 'ALLOW'), 0) AS allowed,
    coalesce(sum(count) FILTER (WHERE verdict = 'ALLOW_WITH_CAPS'), 0) AS capped,
    coalesce(sum(count) FILTER (WHERE verdict = 'DENY'), 0) AS denied,
    coalesce(sum(count) FILTER (WHERE would_deny <> ''), 0) AS would_deny
FROM decision_rollup
WHERE bucket_at >= %(since)s AND bucket_at < %(until)s
    AND (%(verdict)s = '' OR verdict = %(verdict)s)
    AND (%(within)s = '' OR scope_path = %(within)s OR starts_with(scope_path, %(within)s || '/'))
GROUP BY 1, 2, 3
ORDER BY 1, 2, count DESC, 3
