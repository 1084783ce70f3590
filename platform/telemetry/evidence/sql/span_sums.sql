-- What was counted since a moment, by kind, provider and subject; the most first. Durations as places with their counts (`telemetry.evidence.histograms`).
WITH latest AS (SELECT * FROM span_rollup WHERE bucket_at >= %(since)s),
sums AS (
    SELECT
        kind, provider, subject, sum(spans)::bigint AS spans, sum(repeats)::bigint AS repeats, sum(errors)::bigint AS errors, sum(leaks)::bigint AS leaks,
        sum(tokens_input) AS tokens_input, sum(tokens_output) AS tokens_output, sum(cost) AS cost, sum(unpriced)::bigint AS unpriced
    FROM latest
    GROUP BY kind, provider, subject
    ORDER BY sum(spans + repeats) DESC, kind, provider, subject
    LIMIT %(at_most)s
)
SELECT
    s.*,
    (
        SELECT jsonb_object_agg(c.place, c.count)
        FROM (
            SELECT u.place - 1 AS place, sum(u.count)::bigint AS count
            FROM latest AS l CROSS JOIN unnest(l.durations) WITH ORDINALITY AS u (count, place)
            WHERE (l.kind, l.provider, l.subject) = (s.kind, s.provider, s.subject) AND u.count > 0
            GROUP BY u.place
        ) AS c
    ) AS durations
FROM sums AS s
ORDER BY s.spans + s.repeats DESC, s.kind, s.provider, s.subject
