-- Says what is wrong with a key for reading: UNAUTHORIZED, FORBIDDEN, or null when nothing is; and the scopes it is confined to.
-- Locks nothing. A key is judged at the time of the call, so a revoked one counts at once.
CREATE FUNCTION check_key_v1(
    p_query jsonb, p_permission text, OUT refusal text, OUT scope_filter text[], OUT slug text
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_key api_key;
BEGIN
    SELECT h.slug INTO STRICT slug FROM ledger_head AS h WHERE h.id = 1;
    scope_filter := '{}';
    IF coalesce((p_query ->> 'is_trusted')::boolean, false) THEN
        RETURN;
    END IF;
    SELECT * INTO v_key FROM api_key AS k WHERE k.key_id = p_query ->> 'key_id';
    IF v_key.status IS DISTINCT FROM 'ACTIVE' OR v_key.expires_at <= clock_timestamp() OR NOT coalesce(
        v_key.digest = (p_query ->> 'digest')::bytea
        OR (v_key.previous_digest = (p_query ->> 'digest')::bytea AND v_key.previous_expires_at > clock_timestamp()),
        false
    ) THEN
        refusal := 'UNAUTHORIZED';
    ELSIF NOT p_permission = ANY (v_key.permissions) OR lower(p_query ->> 'tenant') <> slug THEN
        refusal := 'FORBIDDEN';
    END IF;
    scope_filter := v_key.scope_filter;
END
$$;
