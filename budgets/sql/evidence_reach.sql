-- Who of one tenant used a namespace or a cache key, how often and since when, along their indexes. Said of every tenant at once by `rows_across`.
SELECT
    {tag} AS tag, count(*) AS spans, count(DISTINCT trace_id) AS traces, min(started_at) AS first_at, max(started_at) AS last_at,
    coalesce((array_agg(DISTINCT agent) FILTER (WHERE agent <> ''))[:%(agents)s], '{{}}') AS agents, count(*) FILTER (WHERE agent = '') AS without_agent,
    (array_agg(trace_id ORDER BY started_at DESC))[1] AS trace_id
FROM {schema}.span
WHERE namespace = %(text)s OR cache_key = %(text)s
HAVING count(*) > 0
