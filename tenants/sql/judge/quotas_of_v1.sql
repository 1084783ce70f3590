-- The counted quotas that a request falls under, each with the key of its counter in the window that holds p_now.
-- Windows of a day and a month are those of the tenant's own time zone; the window `run` lasts as long as the run.
CREATE FUNCTION public.quotas_of_v1(
    p_rules jsonb, p_kind text, p_scope_path text, p_run text, p_is_new_run boolean, p_time_zone text, p_now timestamptz
) RETURNS TABLE (quota_id text, key text, quota_max bigint, quota_window text, expires_at timestamptz, status text)
LANGUAGE sql STABLE AS $$
    WITH quota AS (
        SELECT q.value ->> 'id' AS id, (q.value ->> 'limit')::bigint AS quota_max, q.value ->> 'window' AS quota_window,
            'ACTION_QUOTA_EXCEEDED' AS status
        FROM jsonb_array_elements(coalesce(p_rules -> 'actions' -> 'quotas', '[]')) AS q
        WHERE (q.value ->> 'kind' IS NULL OR q.value ->> 'kind' = p_kind)
            AND (q.value ->> 'risk_class' IS NULL OR q.value ->> 'risk_class' = p_rules -> 'actions' -> 'risk_classes' ->> p_kind)
            AND (q.value ->> 'scope_path' IS NULL OR p_scope_path = q.value ->> 'scope_path'
                OR starts_with(p_scope_path, (q.value ->> 'scope_path') || '/'))
        UNION ALL
        SELECT 'runs_per_day', (p_rules -> 'limits' ->> 'runs_per_day_max')::bigint, 'day', 'RUNS_PER_DAY_EXCEEDED'
        WHERE p_is_new_run
        UNION ALL
        SELECT 'runs_per_month', (p_rules -> 'limits' ->> 'runs_per_month_max')::bigint, 'month', 'RUNS_PER_MONTH_EXCEEDED'
        WHERE p_is_new_run
    )
    SELECT q.id, q.id || '|' || coalesce(
            extract(EPOCH FROM date_trunc(nullif(q.quota_window, 'run'), p_now, p_time_zone))::bigint::text, 'run:' || p_run
        ),
        q.quota_max, q.quota_window,
        CASE q.quota_window
            WHEN 'run' THEN 'infinity'
            ELSE date_trunc(q.quota_window, (p_now AT TIME ZONE p_time_zone) + ('1 ' || q.quota_window)::interval) AT TIME ZONE p_time_zone
        END,
        q.status
    FROM quota AS q
    WHERE q.quota_max IS NOT NULL AND (q.quota_window <> 'run' OR p_run IS NOT NULL)
$$;
