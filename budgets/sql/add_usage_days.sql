-- Adds `days` to what is there of the same local day and the same words.
INSERT INTO usage_day (
    day, scope_path, model, tool, traffic_class, unit, agent, calls, events, charged, uncovered, corrections, corrected, priced_calls, priced_charged,
    provider_cost, tokens_input, tokens_output, tokens_cached, tokens_reasoning, holds, held, commits, planned, observed, releases, expiries, given_back,
    latency_ms, latency_counts, first_token_ms, first_token_counts
)
SELECT * FROM days
ON CONFLICT (day, scope_path, model, tool, traffic_class, unit) DO UPDATE SET
    calls = usage_day.calls + excluded.calls,
    events = usage_day.events + excluded.events,
    charged = usage_day.charged + excluded.charged,
    uncovered = usage_day.uncovered + excluded.uncovered,
    corrections = usage_day.corrections + excluded.corrections,
    corrected = usage_day.corrected + excluded.corrected,
    priced_calls = usage_day.priced_calls + excluded.priced_calls,
    priced_charged = usage_day.priced_charged + excluded.priced_charged,
    provider_cost = usage_day.provider_cost + excluded.provider_cost,
    tokens_input = usage_day.tokens_input + excluded.tokens_input,
    tokens_output = usage_day.tokens_output + excluded.tokens_output,
    tokens_cached = usage_day.tokens_cached + excluded.tokens_cached,
    tokens_reasoning = usage_day.tokens_reasoning + excluded.tokens_reasoning,
    holds = usage_day.holds + excluded.holds,
    held = usage_day.held + excluded.held,
    commits = usage_day.commits + excluded.commits,
    planned = usage_day.planned + excluded.planned,
    observed = usage_day.observed + excluded.observed,
    releases = usage_day.releases + excluded.releases,
    expiries = usage_day.expiries + excluded.expiries,
    given_back = usage_day.given_back + excluded.given_back,
    latency_ms = usage_day.latency_ms + excluded.latency_ms,
    latency_counts = ARRAY(
        SELECT u.a + u.b
        FROM unnest(usage_day.latency_counts, excluded.latency_counts) WITH ORDINALITY AS u (a, b, n)
        ORDER BY u.n
    ),
    first_token_ms = usage_day.first_token_ms + excluded.first_token_ms,
    first_token_counts = ARRAY(
        SELECT u.a + u.b
        FROM unnest(usage_day.first_token_counts, excluded.first_token_counts) WITH ORDINALITY AS u (a, b, n)
        ORDER BY u.n
    )
