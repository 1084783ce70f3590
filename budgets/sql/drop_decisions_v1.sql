-- Drops decisions without effect by their ids; how many were still there. Only what is in the archive file `p_file`, counted for good, and older than 30
-- days, whoever asks: else nothing goes, and it fails. Runs as the owner of the schema, whose tables alone it finds: the processes may not delete a decision.
CREATE FUNCTION drop_decisions_v1(p_file text, p_keys uuid[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_dropped bigint;
BEGIN
    DELETE FROM decision AS d
    USING archive_file AS f, rollup_mark AS m
    WHERE f.name = p_file AND f.kind = 'decisions' AND f.dropped_at IS NULL AND m.decisions_kept_since >= f.until_at
        AND d.id = ANY (p_keys) AND d.ledger_seq IS NULL AND d.at < f.until_at AND d.at < clock_timestamp() - interval '30 days';
    GET DIAGNOSTICS v_dropped = ROW_COUNT;
    IF EXISTS (SELECT FROM decision AS d WHERE d.id = ANY (p_keys)) THEN
        RAISE EXCEPTION 'Some of these decisions may not be dropped.' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN v_dropped;
END
$$
