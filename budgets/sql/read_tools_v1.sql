-- The tool policy's word on tools by name, kill switches included, for whoever may ask about the scope `suffix` below the tenant. Locks nothing.
-- Answers {status, slug, version, verdicts}, the verdicts (allow, deny, gated) in the order of the names.
CREATE FUNCTION read_tools_v1(p_query jsonb) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_key record;
    v_tools jsonb;
    v_stopped text[];
    v_names text[] := ARRAY(SELECT jsonb_array_elements_text(p_query -> 'names'));
BEGIN
    SELECT * INTO STRICT v_key FROM check_key_v1(p_query, 'reservations:create');
    IF v_key.refusal IS NOT NULL THEN
        RETURN json_build_object('status', v_key.refusal);
    ELSIF NOT is_within_v1('tenant:' || v_key.slug || (p_query ->> 'suffix'), v_key.scope_filter) THEN
        RETURN json_build_object('status', 'FORBIDDEN');
    END IF;
    SELECT r.document -> 'tools' INTO v_tools FROM ruleset AS r WHERE r.id = 1;
    SELECT array_agg(lower(k.name)) INTO v_stopped
    FROM kill_switch AS k
    WHERE k.level = 'tool' AND k.lifted_at IS NULL AND (k.ends_at IS NULL OR k.ends_at > clock_timestamp());
    RETURN json_build_object(
        'status', 'OK', 'slug', v_key.slug, 'version', v_tools -> 'version', 'verdicts', (
            SELECT coalesce(json_agg(CASE WHEN lower(t.name) = ANY (v_stopped) THEN 'deny' ELSE t.verdict END ORDER BY t.n), '[]')
            FROM unnest(v_names, public.tool_verdicts_v1(v_tools, v_names)) WITH ORDINALITY AS t (name, verdict, n)
        )
    );
END
$$;
