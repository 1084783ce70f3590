-- The counted quotas of every operation of a segment, in the order of the operations; their counters are for the caller to fill in.
--
-- Whether an operation begins its run is only known when those before it are judged, so the quotas of runs are named for each that could.
CREATE FUNCTION public.quotas_of_segment_v1(
    p_asked public.asked_v1[], p_rules jsonb, p_root text, p_time_zone text, p_now timestamptz
) RETURNS SETOF public.counted_v1
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.ordinality::int, q.quota, q.key, q.quota_max, q.expires_at, q.scope, q.status, 0::bigint
    FROM unnest(p_asked) WITH ORDINALITY AS a
    CROSS JOIN LATERAL (
        SELECT array_agg(p_root || u.suffix ORDER BY u.m) AS paths FROM unnest(a.suffixes) WITH ORDINALITY AS u (suffix, m)
    ) AS p
    CROSS JOIN LATERAL public.quotas_of_v1(
        p_rules, a.action, p.paths, a.run, a.run IS NOT NULL, p_time_zone, p_now
    ) WITH ORDINALITY AS q (quota, key, quota_max, expires_at, scope, status, m)
    WHERE a.op IN ('reserve', 'decide')
    ORDER BY a.ordinality, q.m
$$;
