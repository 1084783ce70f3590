-- What a settlement goes by: the reservation as it was made, and the route that its decision chose. Locks nothing.
-- Answers {status, slug, subject, action, unit, tokens, scope_path, run, key_id, created_at_ms, route}; the route has the price of the moment of the
-- decision, and the tokens are those that the rate limits gave for it.
CREATE FUNCTION read_hold_v1(p_query jsonb) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_key record;
    v_hold reservation;
    v_route jsonb;
    v_endpoint text;
BEGIN
    SELECT * INTO STRICT v_key FROM check_key_v1(p_query, 'reservations:commit');
    IF v_key.refusal IS NOT NULL THEN
        RETURN json_build_object('status', v_key.refusal);
    END IF;
    SELECT * INTO v_hold FROM reservation AS r WHERE r.id = (p_query ->> 'target')::uuid;
    IF NOT FOUND THEN
        RETURN json_build_object('status', 'NOT_FOUND');
    ELSIF NOT is_within_v1(v_hold.scope_path, v_key.scope_filter) THEN
        RETURN json_build_object('status', 'FORBIDDEN');
    END IF;
    SELECT d.admission -> 'route', d.endpoint INTO v_route, v_endpoint FROM decision AS d WHERE d.id = v_hold.id;
    RETURN json_build_object(
        'status', 'OK', 'slug', v_key.slug, 'subject', v_hold.subject, 'action', v_hold.action, 'unit', v_hold.unit, 'tokens', CASE
            WHEN v_endpoint = 'admit' THEN v_hold.tokens
            -- A plain reservation took its estimate, where that counts tokens.
            WHEN v_endpoint = 'reserve' THEN CASE v_hold.unit WHEN 'TOKENS' THEN v_hold.amount ELSE 0 END
        END,
        'scope_path', v_hold.scope_path, 'run', v_hold.run_id, 'key_id', v_hold.api_key_id, 'created_at_ms', (extract(EPOCH FROM v_hold.created_at) * 1000)::bigint, 'route', v_route
    );
END
$$;
