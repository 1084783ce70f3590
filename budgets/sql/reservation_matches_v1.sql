-- Says whether a reservation passes the filters of a list. Blank filters are absent from p_query.
CREATE FUNCTION reservation_matches_v1(p_row reservation, p_query jsonb, p_scopes text[]) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT
        (p_query ->> 'status' IS NULL OR (p_row).status = p_query ->> 'status')
        AND (p_query ->> 'from' IS NULL OR (p_row).created_at >= (p_query ->> 'from')::timestamptz)
        AND (p_query ->> 'to' IS NULL OR (p_row).created_at <= (p_query ->> 'to')::timestamptz)
        AND (p_query ->> 'expires_from' IS NULL OR (p_row).expires_at >= (p_query ->> 'expires_from')::timestamptz)
        AND (p_query ->> 'expires_to' IS NULL OR (p_row).expires_at <= (p_query ->> 'expires_to')::timestamptz)
        AND (p_query ->> 'finalized_from' IS NULL OR (p_row).finalized_at >= (p_query ->> 'finalized_from')::timestamptz)
        AND (p_query ->> 'finalized_to' IS NULL OR (p_row).finalized_at <= (p_query ->> 'finalized_to')::timestamptz)
        AND (p_query -> 'subject' IS NULL OR NOT EXISTS (
            SELECT FROM jsonb_each_text(p_query -> 'subject') AS f (level, name)
            WHERE lower((p_row).subject ->> f.level) IS DISTINCT FROM f.name
        ))
        AND is_within_v1((p_row).scope_path, p_scopes)
$$;
