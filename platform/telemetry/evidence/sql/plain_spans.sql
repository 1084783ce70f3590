-- One page of counted spans that began between `since` and `before`, of traces that are not in the sample and have nothing wrong in them, behind the last one
-- of the page before. A trace is in the sample or out of it as a whole, by its id.
SELECT s.started_at, s.trace_id, s.span_id, to_jsonb(s)::text
FROM span AS s
WHERE s.started_at >= %(since)s AND s.started_at < %(before)s AND s.is_counted IS NOT NULL
    AND (s.started_at, s.trace_id, s.span_id) > (%(at)s, %(trace)s, %(span)s)
    AND ('x' || right(s.trace_id, 8))::bit(32)::bigint %% 100 >= %(percent)s
    AND NOT EXISTS (
        SELECT FROM span AS o
        WHERE o.trace_id = s.trace_id
            AND (o.is_error OR o.prompt_source_tenant <> o.tenant OR o.namespace_tenant <> o.tenant OR o.started_at >= %(before)s)
    )
ORDER BY s.started_at, s.trace_id, s.span_id
LIMIT %(page)s
