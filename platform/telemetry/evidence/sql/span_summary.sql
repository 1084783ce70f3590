-- Per kind since a moment, from the spans themselves: how many, failed ones, tokens, and how long they took.
SELECT
    kind,
    count(*) AS spans,
    count(*) FILTER (WHERE is_error) AS errors,
    count(*) FILTER (WHERE prompt_source_tenant <> tenant OR namespace_tenant <> tenant) AS leaks,
    sum(tokens_input)::bigint AS tokens_input,
    sum(tokens_output)::bigint AS tokens_output,
    (percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_us))::bigint[] AS durations_us
FROM (
    SELECT kind, is_error, tenant, prompt_source_tenant, namespace_tenant, tokens_input, tokens_output, duration_us
    FROM span
    WHERE started_at >= %(since)s
    ORDER BY started_at DESC
    LIMIT %(at_most)s
) AS latest
GROUP BY kind
ORDER BY kind
