-- The enforcement engine: one batch of operations in, one array of answers out, in the same order.
--
-- Promises: a batch gives, answer by answer and entry by entry, what the same operations would give one after the other.
-- Locks:    the tenant's ledger_head row, first and alone (see README.md); nothing of another tenant is ever waited for.
-- Repeated: an operation whose idempotency key already had its effect answers what it answered then.
CREATE FUNCTION apply_operations_v1(p_operations jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_answers json[];
    v_one jsonb;
BEGIN
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
