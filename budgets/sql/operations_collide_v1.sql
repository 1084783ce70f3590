-- Says whether two operations of a batch share an idempotency key or a reservation.
-- Locks nothing and changes nothing. A false alarm costs time only, so the endpoint is left out of the comparison.
CREATE FUNCTION operations_collide_v1(p_operations jsonb) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT count(*) <> count(DISTINCT name)
    FROM jsonb_to_recordset(p_operations) AS o (id text, target text, idem text)
    CROSS JOIN LATERAL (VALUES ('r' || o.id), ('r' || o.target), ('k' || o.idem)) AS names (name)
    WHERE name IS NOT NULL
$$;
