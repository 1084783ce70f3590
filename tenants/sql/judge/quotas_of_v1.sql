-- The counted quotas that a request falls under, each with the key of its counter in the window that holds p_now.
--
-- p_paths are the request's scope paths, root first. A quota with a `scope` (an anchored pattern) counts for the deepest of them that fits, each such
-- scope by itself. The windows of actions are those of the protocol, which are UTC's; runs are counted in the tenant's own time zone.
-- A null key says that the quota is of a run and the request names none.
CREATE FUNCTION public.quotas_of_v1(
    p_rules jsonb, p_action jsonb, p_paths text[], p_run text, p_is_new_run boolean, p_time_zone text, p_now timestamptz
) RETURNS TABLE (quota jsonb, key text, quota_max bigint, expires_at timestamptz, scope text, status text)
LANGUAGE sql STABLE AS $$
    WITH applicable AS (
        SELECT q.value AS quota, 'ACTION_QUOTA_EXCEEDED' AS status, 'UTC' AS zone,
            CASE q.value ->> 'window'
                WHEN 'per_minute_tumbling' THEN 'minute'
                WHEN 'per_hour_tumbling' THEN 'hour'
                WHEN 'per_run' THEN NULL
                ELSE 'day'
            END AS bucket,
            CASE
                WHEN q.value ->> 'scope' IS NULL OR q.value ->> 'window' = 'per_tenant_per_day' THEN p_paths[1]
                ELSE (SELECT max(path) FROM unnest(p_paths) AS path WHERE path ~ (q.value ->> 'scope'))
            END AS scope
        FROM jsonb_array_elements(p_rules -> 'actions' -> 'quotas') AS q
        WHERE (q.value ->> 'kind' IS NULL OR q.value ->> 'kind' = p_action ->> 'kind')
            AND (q.value ->> 'risk_class' IS NULL
                OR q.value ->> 'risk_class' = p_rules -> 'actions' -> 'risk_classes' ->> (p_action ->> 'kind'))
            AND (q.value -> 'hosts' IS NULL OR q.value -> 'hosts' ? (p_action -> 'policy_keys' ->> 'host'))
            AND (q.value -> 'recipient_domains' IS NULL
                OR q.value -> 'recipient_domains' ? (p_action -> 'policy_keys' ->> 'recipient_domain'))
            AND (q.value -> 'resource_types' IS NULL OR q.value -> 'resource_types' ? (p_action -> 'policy_keys' ->> 'resource_type'))
            AND (q.value ->> 'scope' IS NULL OR EXISTS (SELECT FROM unnest(p_paths) AS path WHERE path ~ (q.value ->> 'scope')))
        UNION ALL
        SELECT jsonb_build_object('id', 'runs_' || r.bucket, 'window', r.bucket, 'limit', p_rules -> 'limits' -> r.name),
            r.status, p_time_zone, r.bucket, p_paths[1]
        FROM (
            VALUES ('runs_per_day_max', 'day', 'RUNS_PER_DAY_EXCEEDED'), ('runs_per_month_max', 'month', 'RUNS_PER_MONTH_EXCEEDED')
        ) AS r (name, bucket, status)
        WHERE p_is_new_run AND p_rules -> 'limits' -> r.name IS NOT NULL
    )
    SELECT a.quota,
        (a.quota ->> 'id') || '|' || a.scope || '|' || CASE
            WHEN a.bucket IS NULL THEN 'run:' || p_run
            ELSE extract(EPOCH FROM date_trunc(a.bucket, p_now, a.zone))::bigint::text
        END,
        (a.quota ->> 'limit')::bigint,
        CASE
            WHEN a.bucket IS NULL THEN p_now + coalesce((a.quota ->> 'run_ttl_ms')::bigint, 86400000) * interval '1 millisecond'
            ELSE date_trunc(a.bucket, (p_now AT TIME ZONE a.zone) + ('1 ' || a.bucket)::interval) AT TIME ZONE a.zone
        END,
        a.scope, a.status
    FROM applicable AS a
$$;
