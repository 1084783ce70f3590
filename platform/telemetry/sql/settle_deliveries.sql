-- What became of attempts, of all at once.
UPDATE webhook_delivery AS d
SET status = a.status, attempts = d.attempts + 1, attempted_at = a.attempted_at, completed_at = a.completed_at,
    next_attempt_at = coalesce(a.next_attempt_at, d.next_attempt_at), response_status = a.response_status,
    response_time_ms = a.response_time_ms, error = a.error
FROM unnest(
    %(ids)s::bigint[], %(statuses)s::text[], %(attempted_at)s::timestamptz[], %(completed_at)s::timestamptz[], %(next_attempt_at)s::timestamptz[],
    %(response_statuses)s::int[], %(response_times_ms)s::int[], %(errors)s::text[]
) AS a (id, status, attempted_at, completed_at, next_attempt_at, response_status, response_time_ms, error)
WHERE d.id = a.id AND d.status IN ('PENDING', 'RETRYING')
