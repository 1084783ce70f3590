-- What one tenant was charged lately in one unit, from its rollups. Buckets that began more than an hour ago count by the part of them that is not.
WITH lately AS MATERIALIZED (
    SELECT
        bucket_at, agent, sum(charged) AS charged, sum(calls) AS calls,
        least(1, greatest(0, extract(EPOCH FROM bucket_at + interval '15 minutes' - (%(now)s::timestamptz - interval '1 hour')) / 900)) AS part
    FROM usage_rollup
    WHERE bucket_at >= least(%(quarters_until)s::timestamptz - interval '24 hours', %(day_starts_at)s) AND unit = %(unit)s
    GROUP BY bucket_at, agent
), hour AS (
    SELECT agent, round(sum(charged * part)) AS charged, round(sum(calls * part)) AS calls FROM lately WHERE part > 0 GROUP BY agent
)
SELECT
    ARRAY(
        SELECT coalesce(sum(l.charged), 0)
        FROM generate_series(%(quarters_until)s - interval '24 hours', %(quarters_until)s - interval '15 minutes', '15 minutes') AS g (at)
        LEFT JOIN lately AS l ON l.bucket_at = g.at
        GROUP BY g.at
        ORDER BY g.at
    ) AS quarters,
    (SELECT coalesce(sum(charged), 0) FROM lately WHERE bucket_at >= %(day_starts_at)s) AS spent_today,
    (SELECT coalesce(sum(charged), 0) FROM hour) AS spent_hour,
    (SELECT coalesce(sum(calls), 0) FROM hour) AS calls_hour,
    (SELECT agent FROM hour WHERE agent <> '' AND charged > 0 ORDER BY charged DESC, agent LIMIT 1) AS top_agent,
    (SELECT charged FROM hour WHERE agent <> '' AND charged > 0 ORDER BY charged DESC, agent LIMIT 1) AS top_agent_charged
