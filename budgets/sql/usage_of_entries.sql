-- What the ledger entries behind `after` up to `until` used, summed as `usage_rollup` keeps it. Each entry is in the bucket of its own `at`.
--
-- A reservation has the subject, the action and the path of its settlement; its decision, which has the same id, the class and the route. A correction
-- counts as the charge that it corrects, in the bucket in which it was made. What is no call of a model is a tool's, by the action's name.
SELECT
    date_bin('15 minutes', x.at, '2000-01-01 00:00:00+00') AS bucket_at, x.scope_path, x.model, x.tool, x.traffic_class, x.unit,
    coalesce(substring(x.scope_path FROM '/agent:([^/]+)'), '') AS agent,
    count(*) FILTER (WHERE x.is_charge) AS calls,
    count(*) FILTER (WHERE x.kind = 'EVENT') AS events,
    coalesce(sum(x.charged - x.charged_before) FILTER (WHERE x.is_booked), 0) AS charged,
    coalesce(sum(x.amount - x.charged - (x.amount_before - x.charged_before)) FILTER (WHERE x.is_booked), 0) AS uncovered,
    count(*) FILTER (WHERE x.kind = 'CORRECTION') AS corrections,
    coalesce(sum(x.charged - x.charged_before) FILTER (WHERE x.kind = 'CORRECTION'), 0) AS corrected,
    count(*) FILTER (WHERE x.is_charge AND x.provider_cost IS NOT NULL) AS priced_calls,
    coalesce(sum(x.charged - x.charged_before) FILTER (WHERE x.is_booked AND x.provider_cost IS NOT NULL), 0) AS priced_charged,
    coalesce(sum(x.provider_cost) FILTER (WHERE x.is_charge), 0) AS provider_cost,
    coalesce(sum(x.tokens_input), 0) AS tokens_input,
    coalesce(sum(x.tokens_output), 0) AS tokens_output,
    coalesce(sum(x.tokens_cached), 0) AS tokens_cached,
    coalesce(sum(x.tokens_reasoning), 0) AS tokens_reasoning,
    count(*) FILTER (WHERE x.kind = 'RESERVE') AS holds,
    coalesce(sum(x.amount) FILTER (WHERE x.kind = 'RESERVE'), 0) AS held,
    count(*) FILTER (WHERE x.kind = 'COMMIT') AS commits,
    coalesce(sum(x.planned) FILTER (WHERE x.kind = 'COMMIT'), 0) AS planned,
    coalesce(sum(x.amount) FILTER (WHERE x.kind = 'COMMIT'), 0) AS observed,
    count(*) FILTER (WHERE x.kind = 'RELEASE') AS releases,
    count(*) FILTER (WHERE x.kind = 'EXPIRE') AS expiries,
    coalesce(sum(x.amount) FILTER (WHERE x.kind IN ('RELEASE', 'EXPIRE')), 0) AS given_back,
    coalesce(sum(x.latency_ms), 0) AS latency_ms,
    ARRAY[
        count(*) FILTER (WHERE x.place = 1), count(*) FILTER (WHERE x.place = 2), count(*) FILTER (WHERE x.place = 3),
        count(*) FILTER (WHERE x.place = 4), count(*) FILTER (WHERE x.place = 5), count(*) FILTER (WHERE x.place = 6),
        count(*) FILTER (WHERE x.place = 7), count(*) FILTER (WHERE x.place = 8), count(*) FILTER (WHERE x.place = 9),
        count(*) FILTER (WHERE x.place = 10), count(*) FILTER (WHERE x.place = 11), count(*) FILTER (WHERE x.place = 12),
        count(*) FILTER (WHERE x.place = 13)
    ] AS latency_counts,
    coalesce(sum(x.first_token_ms), 0) AS first_token_ms,
    ARRAY[
        count(*) FILTER (WHERE x.first_place = 1), count(*) FILTER (WHERE x.first_place = 2), count(*) FILTER (WHERE x.first_place = 3),
        count(*) FILTER (WHERE x.first_place = 4), count(*) FILTER (WHERE x.first_place = 5), count(*) FILTER (WHERE x.first_place = 6),
        count(*) FILTER (WHERE x.first_place = 7), count(*) FILTER (WHERE x.first_place = 8), count(*) FILTER (WHERE x.first_place = 9),
        count(*) FILTER (WHERE x.first_place = 10), count(*) FILTER (WHERE x.first_place = 11), count(*) FILTER (WHERE x.first_place = 12),
        count(*) FILTER (WHERE x.first_place = 13)
    ] AS first_token_counts
FROM (
    SELECT
        e.kind, e.at, e.unit, e.amount, e.charged, c.is_charge, c.is_booked, c.amount_before, c.charged_before, r.amount AS planned,
        coalesce(r.scope_path, 'tenant:' || h.slug
            || coalesce('/workspace:' || lower(w.subject ->> 'workspace'), '') || coalesce('/app:' || lower(w.subject ->> 'app'), '')
            || coalesce('/workflow:' || lower(w.subject ->> 'workflow'), '') || coalesce('/agent:' || lower(w.subject ->> 'agent'), '')
            || coalesce('/toolset:' || lower(w.subject ->> 'toolset'), '')) AS scope_path,
        CASE WHEN m.is_model THEN m.name ELSE '' END AS model,
        CASE WHEN m.is_model THEN '' ELSE coalesce(w.action ->> 'name', '') END AS tool,
        coalesce(d.admission ->> 'class', '') AS traffic_class,
        (w.price ->> 'provider_cost')::numeric AS provider_cost,
        t.tokens_input, t.tokens_output, n.cached AS tokens_cached, n.reasoning AS tokens_reasoning, t.latency_ms,
        width_bucket(t.latency_ms - 1, ARRAY[10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000]::numeric[]) + 1 AS place,
        t.first_token_ms,
        width_bucket(t.first_token_ms - 1, ARRAY[10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000]::numeric[]) + 1 AS first_place
    FROM ledger_entry AS e
    CROSS JOIN ledger_head AS h
    CROSS JOIN LATERAL (
        SELECT
            e.kind IN ('COMMIT', 'EVENT') AS is_charge, e.kind IN ('COMMIT', 'EVENT', 'CORRECTION') AS is_booked,
            CASE WHEN e.kind = 'CORRECTION' THEN (e.metadata ->> 'amount_before')::bigint ELSE 0 END AS amount_before,
            CASE WHEN e.kind = 'CORRECTION' THEN (e.metadata ->> 'charged_before')::bigint ELSE 0 END AS charged_before
    ) AS c
    LEFT JOIN LATERAL (
        SELECT subject, action, price FROM ledger_entry
        -- In a CASE, which is judged in order: a caller's own metadata may say anything under this name.
        WHERE seq = CASE WHEN e.kind = 'CORRECTION' THEN (e.metadata ->> 'corrects')::bigint END OFFSET 0
    ) AS o ON true
    LEFT JOIN LATERAL (SELECT subject, action, scope_path, amount, metrics FROM reservation WHERE id = e.reservation_id OFFSET 0) AS r ON true
    LEFT JOIN LATERAL (SELECT admission FROM decision WHERE id = e.reservation_id OFFSET 0) AS d ON true
    CROSS JOIN LATERAL (
        SELECT
            coalesce(r.subject, o.subject, e.subject) AS subject, coalesce(r.action, o.action, e.action) AS action,
            CASE WHEN e.kind = 'CORRECTION' THEN o.price ELSE e.price END AS price,
            CASE e.kind WHEN 'COMMIT' THEN r.metrics WHEN 'EVENT' THEN e.metrics END AS metrics
    ) AS w
    CROSS JOIN LATERAL (
        SELECT
            coalesce(nullif(w.price ->> 'model', ''), d.admission -> 'route' ->> 'model') IS NOT NULL
                OR lower(w.action ->> 'kind') ~ '^(llm|model|embedding)([.]|$)' AS is_model,
            coalesce(
                nullif(w.price ->> 'model', ''), d.admission -> 'route' ->> 'model', substring(lower(w.action ->> 'name') FROM '[^:]*$'), ''
            ) AS name
    ) AS m
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN jsonb_typeof(w.metrics -> 'tokens_input') = 'number' THEN (w.metrics ->> 'tokens_input')::numeric END AS tokens_input,
            CASE WHEN jsonb_typeof(w.metrics -> 'tokens_output') = 'number' THEN (w.metrics ->> 'tokens_output')::numeric END AS tokens_output,
            CASE WHEN jsonb_typeof(w.metrics -> 'latency_ms') = 'number' THEN (w.metrics ->> 'latency_ms')::numeric END AS latency_ms,
            -- The caller's own object: a number there may be anything, and only a whole one from 0 up is a time.
            CASE WHEN jsonb_typeof(w.metrics -> 'custom' -> 'time_to_first_token_ms') = 'number'
                THEN CASE WHEN w.metrics -> 'custom' ->> 'time_to_first_token_ms' ~ '^[0-9]{1,18}$'
                    THEN (w.metrics -> 'custom' ->> 'time_to_first_token_ms')::numeric END
            END AS first_token_ms
    ) AS t
    LEFT JOIN LATERAL (
        SELECT
            sum((l.line ->> 'quantity')::numeric) FILTER (WHERE starts_with(l.line ->> 'kind', 'cached_')) AS cached,
            sum((l.line ->> 'quantity')::numeric) FILTER (WHERE l.line ->> 'kind' = 'reasoning') AS reasoning
        FROM jsonb_array_elements(e.price -> 'lines') AS l (line)
        WHERE c.is_charge
    ) AS n ON e.price IS NOT NULL
    WHERE e.seq > %(after)s AND e.seq <= %(until)s AND e.kind IN ('RESERVE', 'COMMIT', 'RELEASE', 'EXPIRE', 'EVENT', 'CORRECTION')
) AS x
GROUP BY 1, x.scope_path, x.model, x.tool, x.traffic_class, x.unit
