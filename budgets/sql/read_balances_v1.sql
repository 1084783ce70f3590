-- The balances of the scopes that a filter names, and of those below them if asked for, a page at a time in order of path and unit.
-- A scope matches when it holds every segment of the filter, wherever gaps are; without children its last segment is the filter's last.
-- Budgets of runs are left out: there may be millions, and each answer of a run's operations carries its own.
--
-- Locks nothing, except that the page's stale periods are opened first (under the ledger head), so that nobody is shown yesterday's balance;
-- at most PERIODS_MAX of them a call, so that a budget that slept for years cannot make the call fail for ever.
-- Answers {status, slug, rows}; a row is [scope path, unit, the seven numbers of ledger_entry.balances].
CREATE FUNCTION read_balances_v1(p_query jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    PERIODS_MAX CONSTANT int := 1000;
    v_refusal text;
    v_scopes text[];
    v_slug text;
    v_segments text[] := ARRAY(SELECT jsonb_array_elements_text(p_query -> 'segments'));
    v_leaf text := v_segments[cardinality(v_segments)];
    v_has_children boolean := coalesce((p_query ->> 'include_children')::boolean, false);
    v_ids uuid[];
    v_due uuid[];
    v_rows json;
BEGIN
    SELECT k.refusal, k.scope_filter, k.slug INTO STRICT v_refusal, v_scopes, v_slug
    FROM check_key_v1(p_query, 'balances:read') AS k;
    IF v_refusal IS NOT NULL THEN
        RETURN json_build_object('status', v_refusal);
    END IF;
    v_leaf := '/' || coalesce(v_leaf, 'tenant:' || v_slug);

    SELECT array_agg(p.id), array_agg(p.id) FILTER (WHERE p.period_ends_at <= clock_timestamp() AND p.status <> 'CLOSED')
    INTO v_ids, v_due
    FROM (
        SELECT b.*
        FROM budget AS b
        WHERE b.run_id IS NULL
            AND string_to_array(b.scope_path, '/') @> v_segments
            AND (v_has_children OR right('/' || b.scope_path, length(v_leaf)) = v_leaf)
            AND is_within_v1(b.scope_path, v_scopes)
            AND (
                p_query ->> 'after_path' IS NULL
                OR (b.scope_path COLLATE "C", b.unit COLLATE "C") > ((p_query ->> 'after_path') COLLATE "C", (p_query ->> 'after_unit') COLLATE "C")
            )
        ORDER BY b.scope_path COLLATE "C", b.unit COLLATE "C"
        LIMIT (p_query ->> 'limit')::int + 1
    ) AS p;
    IF v_due IS NOT NULL THEN
        PERFORM roll_periods_v1(v_due, date_trunc('milliseconds', clock_timestamp()), PERIODS_MAX);
    END IF;

    SELECT json_agg(
        json_build_array(
            b.scope_path, b.unit, b.allocated, b.reserved, b.spent, b.debt, b.uncovered, b.overdraft_limit,
            (b.is_capped OR b.debt > b.overdraft_limit)::int
        )
        ORDER BY b.scope_path COLLATE "C", b.unit COLLATE "C"
    )
    INTO v_rows
    FROM budget AS b
    WHERE b.id = ANY (v_ids);
    RETURN json_build_object('status', 'OK', 'slug', v_slug, 'rows', coalesce(v_rows, '[]'));
END
$$;
