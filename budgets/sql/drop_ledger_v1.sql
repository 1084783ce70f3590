-- Drops entries of the ledger by their numbers; how many were still there. Only what is in the archive file `p_file`, under a seal that ends with it, in the
-- sums, 90 days old, and behind every hold that is open, whoever asks: else nothing goes, and it fails. With the entries go the openings before the file's.
-- Runs as the owner of the schema, whose tables alone it finds: the processes may not delete an entry.
CREATE FUNCTION drop_ledger_v1(p_file text, p_keys bigint[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_dropped bigint;
BEGIN
    DELETE FROM ledger_entry AS e
    USING archive_file AS f, ledger_seal AS s, rollup_mark AS m
    WHERE f.name = p_file AND f.kind = 'ledger' AND f.dropped_at IS NULL
        AND s.last_seq = (f.facts ->> 'until')::bigint AND m.ledger_seq >= s.last_seq AND m.entries_kept_since >= f.until_at
        AND e.seq = ANY (p_keys) AND e.seq > (f.facts ->> 'after')::bigint AND e.seq <= s.last_seq
        AND e.at < f.until_at AND e.at < clock_timestamp() - interval '90 days'
        AND NOT EXISTS (
            SELECT
            FROM reservation AS r
            JOIN decision AS d ON d.id = r.id
            WHERE r.status = 'ACTIVE' AND d.ledger_seq <= s.last_seq
        );
    GET DIAGNOSTICS v_dropped = ROW_COUNT;
    IF EXISTS (SELECT FROM ledger_entry AS e WHERE e.seq = ANY (p_keys)) THEN
        RAISE EXCEPTION 'Some of these entries may not be dropped.' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    DELETE FROM ledger_opening AS o USING archive_file AS f WHERE f.name = p_file AND f.kind = 'ledger' AND o.number < f.number;
    RETURN v_dropped;
END
$$
