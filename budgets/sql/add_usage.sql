-- Adds `fresh` to what is there of the same bucket and the same words.
INSERT INTO usage_rollup (
    bucket_at, scope_path, model, tool, traffic_class, unit, agent, calls, events, charged, uncovered, corrections, corrected, priced_calls, priced_charged,
    provider_cost, tokens_input, tokens_output, tokens_cached, tokens_reasoning, holds, held, commits, planned, observed, releases, expiries, given_back,
    latency_ms, latency_counts, first_token_ms, first_token_counts
)
SELECT * FROM fresh
ON CONFLICT (bucket_at, scope_path, model, tool, traffic_class, unit) DO UPDATE SET
    calls = usage_rollup.calls + excluded.calls,
    events = usage_rollup.events + excluded.events,
    charged = usage_rollup.charged + excluded.charged,
    uncovered = usage_rollup.uncovered + excluded.uncovered,
    corrections = usage_rollup.corrections + excluded.corrections,
    corrected = usage_rollup.corrected + excluded.corrected,
    priced_calls = usage_rollup.priced_calls + excluded.priced_calls,
    priced_charged = usage_rollup.priced_charged + excluded.priced_charged,
    provider_cost = usage_rollup.provider_cost + excluded.provider_cost,
    tokens_input = usage_rollup.tokens_input + excluded.tokens_input,
    tokens_output = usage_rollup.tokens_output + excluded.tokens_output,
    tokens_cached = usage_rollup.tokens_cached + excluded.tokens_cached,
    tokens_reasoning = usage_rollup.tokens_reasoning + excluded.tokens_reasoning,
    holds = usage_rollup.holds + excluded.holds,
    held = usage_rollup.held + excluded.held,
    commits = usage_rollup.commits + excluded.commits,
    planned = usage_rollup.planned + excluded.planned,
    observed = usage_rollup.observed + excluded.observed,
    releases = usage_rollup.releases + excluded.releases,
    expiries = usage_rollup.expiries + excluded.expiries,
    given_back = usage_rollup.given_back + excluded.given_back,
    latency_ms = usage_rollup.latency_ms + excluded.latency_ms,
    latency_counts = ARRAY(
        SELECT u.a + u.b
        FROM unnest(usage_rollup.latency_counts, excluded.latency_counts) WITH ORDINALITY AS u (a, b, n)
        ORDER BY u.n
    ),
    first_token_ms = usage_rollup.first_token_ms + excluded.first_token_ms,
    first_token_counts = ARRAY(
        SELECT u.a + u.b
        FROM unnest(usage_rollup.first_token_counts, excluded.first_token_counts) WITH ORDINALITY AS u (a, b, n)
        ORDER BY u.n
    )
