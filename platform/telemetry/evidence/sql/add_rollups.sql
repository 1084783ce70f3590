-- Adds `sums` to what is there of the same bucket and the same words.
INSERT INTO span_rollup AS r (
    bucket_at, kind, provider, subject, agent, spans, repeats, errors, leaks, tokens_input, tokens_output, tokens_cached, tokens_cache_write,
    tokens_reasoning, cost, unpriced, durations, first_tokens
)
SELECT
    v.bucket_at, v.kind, v.provider, v.subject, v.agent, v.spans, v.repeats, v.errors, v.leaks, v.tokens_input, v.tokens_output, v.tokens_cached,
    v.tokens_cache_write, v.tokens_reasoning, v.cost, v.unpriced, v.durations, v.first_tokens
FROM jsonb_to_recordset(%(sums)s::jsonb) AS v (
    bucket_at timestamptz, kind text, provider text, subject text, agent text, spans bigint, repeats bigint, errors bigint, leaks bigint,
    tokens_input numeric, tokens_output numeric, tokens_cached numeric, tokens_cache_write numeric, tokens_reasoning numeric, cost numeric, unpriced bigint,
    durations bigint[], first_tokens bigint[]
)
ON CONFLICT (bucket_at, kind, provider, subject, agent) DO UPDATE SET
    spans = r.spans + excluded.spans,
    repeats = r.repeats + excluded.repeats,
    errors = r.errors + excluded.errors,
    leaks = r.leaks + excluded.leaks,
    tokens_input = r.tokens_input + excluded.tokens_input,
    tokens_output = r.tokens_output + excluded.tokens_output,
    tokens_cached = r.tokens_cached + excluded.tokens_cached,
    tokens_cache_write = r.tokens_cache_write + excluded.tokens_cache_write,
    tokens_reasoning = r.tokens_reasoning + excluded.tokens_reasoning,
    cost = r.cost + excluded.cost,
    unpriced = r.unpriced + excluded.unpriced,
    durations = ARRAY(SELECT u.a + u.b FROM unnest(r.durations, excluded.durations) WITH ORDINALITY AS u (a, b, n) ORDER BY u.n),
    first_tokens = ARRAY(SELECT u.a + u.b FROM unnest(r.first_tokens, excluded.first_tokens) WITH ORDINALITY AS u (a, b, n) ORDER BY u.n)
