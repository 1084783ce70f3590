-- Which check a refusal belongs to, as policies name them when they put one in shadow; null for what is never in shadow: who asks, whether the tenant
-- is in business, kill switches, and budgets that somebody froze or closed.
CREATE FUNCTION public.check_of_v1(p_status text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_status IN ('MAX_ITERATIONS_REACHED', 'MAX_TOKENS_REACHED', 'MAX_WALL_TIME_REACHED') THEN 'run'
        WHEN p_status IN ('TOOL_DENIED', 'TOOL_GATED') THEN 'tools'
        WHEN p_status IN ('ACTION_KIND_DENIED', 'ACTION_KIND_NOT_ALLOWED', 'ACTION_QUOTA_EXCEEDED', 'RUN_REQUIRED') THEN 'actions'
        WHEN p_status IN (
            'TOKENS_PER_REQUEST_EXCEEDED', 'RUNS_PER_DAY_EXCEEDED', 'RUNS_PER_MONTH_EXCEEDED', 'CONCURRENT_RUNS_EXCEEDED'
        ) THEN 'limits'
        WHEN p_status = 'RATE_LIMITED' THEN 'rate'
        WHEN p_status IN ('MODEL_UNKNOWN', 'MODEL_NOT_ALLOWED', 'BELOW_FLOOR', 'NO_ROUTE') THEN 'routes'
        WHEN p_status IN ('BUDGET_EXCEEDED', 'OVERDRAFT_LIMIT_EXCEEDED', 'DEBT_OUTSTANDING') THEN 'money'
    END
$$;
