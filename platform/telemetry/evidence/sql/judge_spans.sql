-- Writes down what the worker makes of spans, unless somebody has already; and says of which it did.
UPDATE span AS s
SET is_counted = v.is_counted, same_as = v.same_as, cost = v.cost, is_fallback_price = v.is_fallback_price
FROM jsonb_to_recordset(%(verdicts)s::jsonb) AS v (
    trace_id text, span_id text, is_counted boolean, same_as text, cost bigint, is_fallback_price boolean
)
WHERE s.trace_id = v.trace_id AND s.span_id = v.span_id AND s.is_counted IS NULL
RETURNING s.trace_id, s.span_id
