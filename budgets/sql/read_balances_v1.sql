-- The balances at a path, or below it too, a page at a time in order of path and unit. Locks nothing.
-- Stale periods are opened first (under the ledger head), so that nobody is shown yesterday's balance.
--
-- Answers {status, slug, rows}; a row is [scope path, unit, the seven numbers of ledger_entry.balances].
CREATE FUNCTION read_balances_v1(p_query jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal text;
    v_scopes text[];
    v_slug text;
    v_paths text[];
    v_prefix text;
    v_due uuid[];
    v_rows json;
BEGIN
    SELECT k.refusal, k.scope_filter, k.slug INTO STRICT v_refusal, v_scopes, v_slug
    FROM check_key_v1(p_query, 'balances:read') AS k;
    IF v_refusal IS NOT NULL THEN
        RETURN json_build_object('status', v_refusal);
    END IF;
    SELECT array_agg('tenant:' || v_slug || s.suffix) INTO v_paths FROM jsonb_array_elements_text(p_query -> 'suffixes') AS s (suffix);
    v_prefix := CASE WHEN (p_query ->> 'include_children')::boolean THEN v_paths[cardinality(v_paths)] || '/' END;

    SELECT array_agg(b.id) INTO v_due
    FROM budget AS b
    WHERE b.period_ends_at <= clock_timestamp() AND (b.scope_path = ANY (v_paths) OR starts_with(b.scope_path, v_prefix));
    IF v_due IS NOT NULL THEN
        PERFORM roll_periods_v1(v_due, date_trunc('milliseconds', clock_timestamp()));
    END IF;

    SELECT json_agg(json_build_array(
        p.scope_path, p.unit, p.allocated, p.reserved, p.spent, p.debt, p.uncovered, p.overdraft_limit,
        (p.is_capped OR p.debt > p.overdraft_limit)::int
    ))
    INTO v_rows
    FROM (
        SELECT *
        FROM budget AS b
        WHERE (b.scope_path = ANY (v_paths) OR starts_with(b.scope_path, v_prefix))
            AND is_within_v1(b.scope_path, v_scopes)
            AND (
                p_query ->> 'after_path' IS NULL
                OR (b.scope_path COLLATE "C", b.unit COLLATE "C") > ((p_query ->> 'after_path') COLLATE "C", (p_query ->> 'after_unit') COLLATE "C")
            )
        ORDER BY b.scope_path COLLATE "C", b.unit COLLATE "C"
        LIMIT (p_query ->> 'limit')::int + 1
    ) AS p;
    RETURN json_build_object('status', 'OK', 'slug', v_slug, 'rows', coalesce(v_rows, '[]'));
END
$$;
