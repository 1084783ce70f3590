-- Drops events of the outbox by their numbers; how many were still there. Only what is in the archive file `p_file`, handed out, and older than 30 days,
-- whoever asks: else nothing goes, and it fails. Runs as the owner of the schema, whose tables alone it finds: the processes may not delete an event.
CREATE FUNCTION drop_events_v1(p_file text, p_keys bigint[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_dropped bigint;
BEGIN
    DELETE FROM outbox_event AS o
    USING archive_file AS f
    WHERE f.name = p_file AND f.kind = 'events' AND f.dropped_at IS NULL
        AND o.seq = ANY (p_keys) AND o.at < f.until_at AND o.at < clock_timestamp() - interval '30 days' AND o.delivered_at IS NOT NULL;
    GET DIAGNOSTICS v_dropped = ROW_COUNT;
    IF EXISTS (SELECT FROM outbox_event AS o WHERE o.seq = ANY (p_keys)) THEN
        RAISE EXCEPTION 'Some of these events may not be dropped.' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN v_dropped;
END
$$
