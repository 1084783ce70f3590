-- Drops rows of the audit trail by their ids; how many were still there. Only what is in the archive file `p_file` and older than 90 days, whoever asks: else
-- nothing goes, and it fails. Runs as the owner of the schema, whose tables alone it finds: the processes may neither change nor delete a row of the trail.
CREATE FUNCTION drop_audit_v1(p_file text, p_keys uuid[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_dropped bigint;
BEGIN
    DELETE FROM audit_entry AS e
    USING archive_file AS f
    WHERE f.name = p_file AND f.kind = 'audit' AND f.dropped_at IS NULL
        AND e.id = ANY (p_keys) AND e.at < f.until_at AND e.at < clock_timestamp() - interval '90 days';
    GET DIAGNOSTICS v_dropped = ROW_COUNT;
    IF EXISTS (SELECT FROM audit_entry AS e WHERE e.id = ANY (p_keys)) THEN
        RAISE EXCEPTION 'Some rows of the trail may not be dropped.' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN v_dropped;
END
$$
