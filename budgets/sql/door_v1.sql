-- The one door to a tenant's books: names the function to call, and hands its answer through.
--
-- It finds its own schema by its own oid, so that it can be called by its qualified name on any connection, has no SET clause that would outlive
-- a rename of the schema, and keeps one set of plans for each tenant. From there on it is at work as the tenant's own role, which may do nothing in
-- another tenant's schema; who calls may touch no table. Both settings last until the end of the transaction.
CREATE FUNCTION door_v1(p_call text, p_payload jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_self oid;
    v_schema text;
    v_place text;
BEGIN
    GET DIAGNOSTICS v_self = PG_ROUTINE_OID;
    -- Expressions and no queries, which would cost four times as much.
    v_schema := (pg_catalog.pg_identify_object('pg_catalog.pg_proc'::pg_catalog.regclass, v_self, 0)).schema;
    v_place := pg_catalog.set_config('search_path', v_schema || ', pg_temp', true)
        || pg_catalog.set_config('role', 'watermaster_' || v_schema, true);
    CASE p_call
        WHEN 'apply' THEN RETURN apply_operations_v1(p_payload);
        WHEN 'reservations' THEN RETURN read_reservations_v1(p_payload);
        WHEN 'balances' THEN RETURN read_balances_v1(p_payload);
        WHEN 'hold' THEN RETURN read_hold_v1(p_payload);
        WHEN 'tools' THEN RETURN read_tools_v1(p_payload);
        WHEN 'front' THEN RETURN (SELECT public.front_of_v1(document) FROM ruleset WHERE id = 1);
        WHEN 'key' THEN RETURN (SELECT json_build_object('status', coalesce(k.refusal, 'OK')) FROM check_key_v1(p_payload, NULL) AS k);
    END CASE;
END
$$;
