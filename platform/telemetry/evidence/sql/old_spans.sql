-- One page of counted spans that began before `before`, the oldest first, behind the last one of the page before.
SELECT s.started_at, s.trace_id, s.span_id, to_jsonb(s)::text
FROM span AS s
WHERE s.started_at < %(before)s AND s.is_counted IS NOT NULL AND (s.started_at, s.trace_id, s.span_id) > (%(at)s, %(trace)s, %(span)s)
ORDER BY s.started_at, s.trace_id, s.span_id
LIMIT %(page)s
