-- What was used, by step of time and by one word of the call. Local days are right because rollups begin at quarters of an hour: `step_on` is the local
-- date on which a day, week or month begins; `step_at` is when a shorter step does, which may come twice on the clock.
--
-- Whole days of the tenant's own time zone are read from their sums, where the steps are such days or there are none; only what is left at both ends comes
-- from the quarters. Whether a quarter belongs to a day is told by its local date and not by midnight, which may come twice or not at all.
WITH own AS (
    SELECT
        o.zone, o.days_from, o.days_until, o.is_whole AND o.days_from < o.days_until AS is_by_days,
        (o.days_from::timestamp AT TIME ZONE o.zone) + interval '3 hours' AS head_until,
        (o.days_until::timestamp AT TIME ZONE o.zone) - interval '3 hours' AS tail_from
    FROM (
        SELECT
            h.time_zone AS zone,
            %(step)s = 'none' OR (%(step)s IN ('day', 'week', 'month') AND h.time_zone = %(zone)s) AS is_whole,
            d.first + (d.first::timestamp AT TIME ZONE h.time_zone <> %(since)s::timestamptz)::int AS days_from,
            (%(until)s::timestamptz AT TIME ZONE h.time_zone)::date AS days_until
        FROM ledger_head AS h
        CROSS JOIN LATERAL (SELECT (%(since)s::timestamptz AT TIME ZONE h.time_zone)::date AS first) AS d
    ) AS o
), used AS (
    SELECT
        day, NULL::timestamptz AS bucket_at, scope_path, model, tool, traffic_class, agent, calls, events, charged, uncovered, corrections, corrected, priced_calls, priced_charged,
        provider_cost, tokens_input, tokens_output, tokens_cached, tokens_reasoning, holds, held, commits, planned, observed, releases, expiries,
        given_back, latency_ms, latency_counts, first_token_ms, first_token_counts
    FROM usage_day
    WHERE (SELECT is_by_days FROM own) AND day >= (SELECT days_from FROM own) AND day < (SELECT days_until FROM own)
        AND unit = %(unit)s AND (%(within)s = '' OR scope_path = %(within)s OR starts_with(scope_path, %(within)s || '/'))
    UNION ALL
    SELECT
        NULL::date, bucket_at, scope_path, model, tool, traffic_class, agent, calls, events, charged, uncovered, corrections, corrected, priced_calls, priced_charged,
        provider_cost, tokens_input, tokens_output, tokens_cached, tokens_reasoning, holds, held, commits, planned, observed, releases, expiries,
        given_back, latency_ms, latency_counts, first_token_ms, first_token_counts
    FROM usage_rollup
    WHERE bucket_at >= %(since)s AND bucket_at < (SELECT CASE WHEN is_by_days THEN least(head_until, %(until)s) ELSE %(until)s END FROM own)
        AND (SELECT NOT is_by_days OR (bucket_at AT TIME ZONE zone)::date < days_from FROM own)
        AND unit = %(unit)s AND (%(within)s = '' OR scope_path = %(within)s OR starts_with(scope_path, %(within)s || '/'))
    UNION ALL
    SELECT
        NULL::date, bucket_at, scope_path, model, tool, traffic_class, agent, calls, events, charged, uncovered, corrections, corrected, priced_calls, priced_charged,
        provider_cost, tokens_input, tokens_output, tokens_cached, tokens_reasoning, holds, held, commits, planned, observed, releases, expiries,
        given_back, latency_ms, latency_counts, first_token_ms, first_token_counts
    FROM usage_rollup
    WHERE (SELECT is_by_days FROM own) AND bucket_at >= (SELECT greatest(tail_from, %(since)s) FROM own) AND bucket_at < %(until)s
        AND (SELECT (bucket_at AT TIME ZONE zone)::date >= days_until FROM own)
        AND unit = %(unit)s AND (%(within)s = '' OR scope_path = %(within)s OR starts_with(scope_path, %(within)s || '/'))
)
SELECT
    CASE %(step)s WHEN '15m' THEN bucket_at WHEN 'hour' THEN date_trunc('hour', bucket_at, %(zone)s) END AS step_at,
    CASE WHEN %(step)s IN ('day', 'week', 'month') THEN date_trunc(%(step)s, coalesce(day::timestamp, bucket_at AT TIME ZONE %(zone)s))::date END AS step_on,
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
    ]::bigint[] AS latency_counts,
    sum(first_token_ms) AS first_token_ms,
    ARRAY[
        sum(first_token_counts[1]), sum(first_token_counts[2]), sum(first_token_counts[3]), sum(first_token_counts[4]), sum(first_token_counts[5]),
        sum(first_token_counts[6]), sum(first_token_counts[7]), sum(first_token_counts[8]), sum(first_token_counts[9]), sum(first_token_counts[10]),
        sum(first_token_counts[11]), sum(first_token_counts[12]), sum(first_token_counts[13])
    ]::bigint[] AS first_token_counts
FROM used
GROUP BY 1, 2, 3
ORDER BY 1, 2, charged DESC, 3
