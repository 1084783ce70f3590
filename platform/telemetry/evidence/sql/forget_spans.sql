-- Deletes some counted spans that began before `before`, the oldest first; how many there were.
WITH old AS (
    SELECT trace_id, span_id FROM span
    WHERE started_at < %(before)s AND is_counted IS NOT NULL
    ORDER BY started_at
    LIMIT %(at_most)s
),
gone AS (
    DELETE FROM span AS s USING old WHERE s.trace_id = old.trace_id AND s.span_id = old.span_id RETURNING 1
)
SELECT count(*) FROM gone
