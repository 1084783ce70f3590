-- The charges of calls of models behind `after` up to `until`, with what a provider would know them by. Ids stand in the price of a settled call, or in the
-- metadata that a caller gave with a charge.
SELECT
    e.seq, e.at, m.name AS model, coalesce(nullif(e.price ->> 'provider', ''), d.admission -> 'route' ->> 'provider', '') AS provider,
    coalesce(lower(substring(w.action ->> 'name' FROM '^(.*):[^:]*$')), '') AS prefix,
    array_remove(ARRAY[
        nullif(e.price ->> 'response_id', ''), nullif(g.metadata ->> 'response_id', ''), nullif(g.metadata ->> 'message_id', ''),
        nullif(g.metadata ->> 'request_id', '')
    ], NULL) AS ids,
    coalesce(r.scope_path, w.subject_path) AS scope_path,
    CASE WHEN jsonb_typeof(w.metrics -> 'tokens_input') = 'number' THEN (w.metrics ->> 'tokens_input')::numeric END AS tokens_input,
    CASE WHEN jsonb_typeof(w.metrics -> 'tokens_output') = 'number' THEN (w.metrics ->> 'tokens_output')::numeric END AS tokens_output,
    coalesce((e.price ->> 'provider_cost')::numeric, CASE WHEN e.unit = 'USD_MICROCENTS' THEN e.amount::numeric END) AS cost
FROM ledger_entry AS e
CROSS JOIN ledger_head AS h
LEFT JOIN LATERAL (SELECT subject, action, scope_path, metrics, metadata FROM reservation WHERE id = e.reservation_id OFFSET 0) AS r ON true
LEFT JOIN LATERAL (SELECT admission FROM decision WHERE id = e.reservation_id OFFSET 0) AS d ON true
CROSS JOIN LATERAL (
    SELECT
        coalesce(r.action, e.action) AS action, CASE e.kind WHEN 'COMMIT' THEN r.metrics ELSE e.metrics END AS metrics,
        'tenant:' || h.slug || coalesce('/workspace:' || lower(e.subject ->> 'workspace'), '') || coalesce('/app:' || lower(e.subject ->> 'app'), '')
            || coalesce('/workflow:' || lower(e.subject ->> 'workflow'), '') || coalesce('/agent:' || lower(e.subject ->> 'agent'), '') AS subject_path
) AS w
CROSS JOIN LATERAL (SELECT coalesce(e.metadata, r.metadata) AS metadata) AS g
CROSS JOIN LATERAL (
    SELECT
        coalesce(nullif(e.price ->> 'model', ''), d.admission -> 'route' ->> 'model') IS NOT NULL
            OR lower(w.action ->> 'kind') ~ '^(llm|model|embedding)([.]|$)' AS is_model,
        lower(coalesce(
            nullif(e.price ->> 'model', ''), d.admission -> 'route' ->> 'model', substring(w.action ->> 'name' FROM '[^:]*$'), ''
        )) AS name
) AS m
WHERE e.seq > %(after)s AND e.seq <= %(until)s AND e.kind IN ('COMMIT', 'EVENT') AND m.is_model
    AND (%(scope_path)s = '' OR coalesce(r.scope_path, w.subject_path) = %(scope_path)s
        OR starts_with(coalesce(r.scope_path, w.subject_path), %(scope_path)s || '/'))
ORDER BY e.seq
