-- Says whether a scope path lies within one of the scopes that a key is confined to. None means everywhere.
CREATE FUNCTION is_within_v1(p_scope_path text, p_scope_filter text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT cardinality(p_scope_filter) = 0 OR EXISTS (
        SELECT FROM unnest(p_scope_filter) AS allowed
        WHERE p_scope_path = allowed OR starts_with(p_scope_path, allowed || '/')
    )
$$;
