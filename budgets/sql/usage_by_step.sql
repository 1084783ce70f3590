-- What was used, by step of time and by one word of the call. Local days are right because rollups begin at quarters of an hour: `step_on` is the local
-- date on which a day, week or month begins; `step_at` is when a shorter step does, which may come twice on the clock.
SELECT
    CASE %(step)s WHEN '15m' THEN bucket_at WHEN 'hour' THEN date_trunc('hour', bucket_at, %(zone)s) END AS step_at,
    CASE WHEN %(step)s IN ('day', 'week', 'month') THEN date_trunc(%(step)s, bucket_at AT TIME ZONE %(zone)s)::date END AS step_on,
    CASE %(by)s
        WHEN 'model' THEN model
        WHEN 'tool' THEN tool
        WHEN 'agent' THEN agent
        WHEN 'class' THEN traffic_class
        WHEN 'workspace' THEN coalesce(substring(scope_path FROM '/workspace:([^/]+)'), '')
        WHEN 'scope' THEN scope_path
        ELSE ''
    END AS name,
    sum(calls) AS calls, sum(events) AS events, sum(charged) AS charged, sum(uncovered) AS uncovered, sum(corrections) AS corrections,
    sum(corrected) AS corrected, sum(priced_calls) AS priced_calls, sum(priced_charged) AS priced_charged, sum(provider_cost) AS provider_cost,
    sum(tokens_input) AS tokens_input, sum(tokens_output) AS tokens_output, sum(tokens_cached) AS tokens_cached,
    sum(tokens_reasoning) AS tokens_reasoning, sum(holds) AS holds, sum(held) AS held, sum(commits) AS commits, sum(planned) AS planned,
    sum(observed) AS observed, sum(releases) AS releases, sum(expiries) AS expiries, sum(given_back) AS given_back, sum(latency_ms) AS latency_ms,
    ARRAY[
        sum(latency_counts[1]), sum(latency_counts[2]), sum(latency_counts[3]), sum(latency_counts[4]), sum(latency_counts[5]),
        sum(latency_counts[6]), sum(latency_counts[7]), sum(latency_counts[8]), sum(latency_counts[9]), sum(latency_counts[10]),
        sum(latency_counts[11]), sum(latency_counts[12]), sum(latency_counts[13])
    ]::bigint[] AS latency_counts
FROM usage_rollup
WHERE bucket_at >= %(since)s AND bucket_at < %(until)s AND unit = %(unit)s
    AND (%(within)s = '' OR scope_path = %(within)s OR starts_with(scope_path, %(within)s || '/'))
GROUP BY 1, 2, 3
ORDER BY 1, 2, charged DESC, 3
