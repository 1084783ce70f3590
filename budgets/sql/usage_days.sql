-- `fresh` by local days of the tenant.
SELECT
    (f.bucket_at AT TIME ZONE h.time_zone)::date AS day, f.scope_path, f.model, f.tool, f.traffic_class, f.unit, f.agent,
    sum(calls) AS calls, sum(events) AS events, sum(charged) AS charged, sum(uncovered) AS uncovered, sum(corrections) AS corrections, sum(corrected) AS corrected,
    sum(priced_calls) AS priced_calls, sum(priced_charged) AS priced_charged, sum(provider_cost) AS provider_cost, sum(tokens_input) AS tokens_input, sum(tokens_output) AS tokens_output, sum(tokens_cached) AS tokens_cached,
    sum(tokens_reasoning) AS tokens_reasoning, sum(holds) AS holds, sum(held) AS held, sum(commits) AS commits, sum(planned) AS planned, sum(observed) AS observed,
    sum(releases) AS releases, sum(expiries) AS expiries, sum(given_back) AS given_back, sum(latency_ms) AS latency_ms,
    ARRAY[
        sum(latency_counts[1]), sum(latency_counts[2]), sum(latency_counts[3]), sum(latency_counts[4]), sum(latency_counts[5]),
        sum(latency_counts[6]), sum(latency_counts[7]), sum(latency_counts[8]), sum(latency_counts[9]), sum(latency_counts[10]),
        sum(latency_counts[11]), sum(latency_counts[12]), sum(latency_counts[13])
    ]::bigint[] AS latency_counts,
    sum(first_token_ms) AS first_token_ms,
    ARRAY[
        sum(first_token_counts[1]), sum(first_token_counts[2]), sum(first_token_counts[3]), sum(first_token_counts[4]), sum(first_token_counts[5]),
        sum(first_token_counts[6]), sum(first_token_counts[7]), sum(first_token_counts[8]), sum(first_token_counts[9]), sum(first_token_counts[10]),
        sum(first_token_counts[11]), sum(first_token_counts[12]), sum(first_token_counts[13])
    ]::bigint[] AS first_token_counts
FROM fresh AS f
CROSS JOIN ledger_head AS h
GROUP BY 1, 2, 3, 4, 5, 6, 7
