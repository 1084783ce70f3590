-- The door of the enforcement engine: one batch of operations in, one array of answers out, in the same order.
--
-- Promises: a batch gives, answer by answer and entry by entry, what the same operations would give one after the other.
-- Locks:    the tenant's ledger_head row, first and alone (see README.md); nothing of another tenant is ever waited for.
-- Repeated: an operation whose idempotency key already had its effect answers what it answered then.
--
-- The function finds its own schema by its own oid, so that it can be called by its qualified name on any connection, has no SET clause that
-- would outlive a rename, and keeps one set of plans for each tenant. The setting lasts until the end of the transaction.
CREATE FUNCTION apply_operations_v1(p_operations jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_self oid;
    v_answers json[];
    v_one jsonb;
BEGIN
    GET DIAGNOSTICS v_self = PG_ROUTINE_OID;
    PERFORM pg_catalog.set_config(
        'search_path',
        (
            SELECT pg_catalog.quote_ident(n.nspname) || ', pg_temp'
            FROM pg_catalog.pg_proc AS p
            JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
            WHERE p.oid = v_self
        ),
        true
    );

    -- Two operations on one key or one reservation are judged apart: the second must see what the first has written.
    IF pg_catalog.jsonb_array_length(p_operations) = 1 OR NOT operations_collide_v1(p_operations) THEN
        RETURN apply_segment_v1(p_operations);
    END IF;
    FOR v_one IN SELECT value FROM pg_catalog.jsonb_array_elements(p_operations) LOOP
        v_answers := v_answers || (apply_segment_v1(pg_catalog.jsonb_build_array(v_one)) -> 0);
    END LOOP;
    RETURN pg_catalog.array_to_json(v_answers);
END
$$;
