-- One reservation by its id, or a page of them by filter and order. Locks nothing.
--
-- Answers {status, slug, rows, walked_to}; a row more than the limit, or a place that was walked to, says that there is another page.
-- Pages go by key, never by offset: (sort key, id) after the last row of the page before. The order by time of creation has an index.
CREATE FUNCTION read_reservations_v1(p_query jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    WALK_MAX CONSTANT int := 20000;
    v_refusal text;
    v_scopes text[];
    v_slug text;
    v_rows json;
    v_id uuid := (p_query ->> 'id')::uuid;
    v_sort text := coalesce(p_query ->> 'sort_by', 'created_at_ms');
    v_is_down boolean := coalesce(p_query ->> 'sort_dir', 'desc') = 'desc';
    v_after_id uuid := (p_query ->> 'after_id')::uuid;
    v_after_text text := p_query ->> 'after_text';
    v_after_number bigint := (p_query ->> 'after_number')::bigint;
    v_limit int := (p_query ->> 'limit')::int + 1;
    v_after_time timestamptz := to_timestamp((p_query ->> 'after_number')::numeric / 1000);
    v_created_from timestamptz := coalesce((p_query ->> 'from')::timestamptz, '-infinity');
    v_created_to timestamptz := coalesce((p_query ->> 'to')::timestamptz, 'infinity');
    v_walked_to json;
    v_ids uuid[];
BEGIN
    SELECT k.refusal, k.scope_filter, k.slug INTO STRICT v_refusal, v_scopes, v_slug
    FROM check_key_v1(p_query, 'reservations:list') AS k;
    IF v_refusal IS NOT NULL THEN
        RETURN json_build_object('status', v_refusal);
    END IF;

    IF v_id IS NOT NULL THEN
        v_ids := ARRAY[v_id];
    ELSIF p_query ->> 'idempotency_key' IS NOT NULL THEN
        SELECT array_agg(d.id) INTO v_ids
        FROM decision AS d
        WHERE d.is_replayable AND d.idempotency_key = p_query ->> 'idempotency_key' AND d.endpoint = 'reserve';
        v_ids := coalesce(v_ids, '{}');
    END IF;

    -- Which rows may be on the page. No call looks at more than WALK_MAX of them, however many there are: by time of creation the page then
    -- ends early and says where to go on; other orders are among the newest WALK_MAX.
    IF v_ids IS NOT NULL THEN
        NULL;
    ELSIF p_query ->> 'status' = 'ACTIVE' THEN
        SELECT coalesce(array_agg(p.id), '{}') INTO v_ids FROM (SELECT r.id FROM reservation AS r WHERE r.status = 'ACTIVE' LIMIT WALK_MAX) AS p;
    ELSIF v_sort = 'created_at_ms' AND v_is_down THEN
        SELECT coalesce(array_agg(p.id), '{}') INTO v_ids
        FROM (
            SELECT w.id
            FROM (
                SELECT r.*
                FROM reservation AS r
                WHERE (v_after_id IS NULL OR (r.created_at, r.id) < (v_after_time, v_after_id)) AND r.created_at <= v_created_to
                ORDER BY r.created_at DESC, r.id DESC
                LIMIT WALK_MAX
            ) AS w
            WHERE reservation_matches_v1(w::reservation, p_query, v_scopes)
            ORDER BY w.created_at DESC, w.id DESC
            LIMIT v_limit
        ) AS p;
        IF cardinality(v_ids) < v_limit THEN
            SELECT json_build_array((extract(EPOCH FROM r.created_at) * 1000)::bigint, '', r.id) INTO v_walked_to
            FROM reservation AS r
            WHERE (v_after_id IS NULL OR (r.created_at, r.id) < (v_after_time, v_after_id)) AND r.created_at <= v_created_to
            ORDER BY r.created_at DESC, r.id DESC
            OFFSET WALK_MAX - 1 LIMIT 1;
        END IF;
    ELSIF v_sort = 'created_at_ms' THEN
        SELECT coalesce(array_agg(p.id), '{}') INTO v_ids
        FROM (
            SELECT w.id
            FROM (
                SELECT r.*
                FROM reservation AS r
                WHERE (v_after_id IS NULL OR (r.created_at, r.id) > (v_after_time, v_after_id)) AND r.created_at >= v_created_from
                ORDER BY r.created_at, r.id
                LIMIT WALK_MAX
            ) AS w
            WHERE reservation_matches_v1(w::reservation, p_query, v_scopes)
            ORDER BY w.created_at, w.id
            LIMIT v_limit
        ) AS p;
        IF cardinality(v_ids) < v_limit THEN
            SELECT json_build_array((extract(EPOCH FROM r.created_at) * 1000)::bigint, '', r.id) INTO v_walked_to
            FROM reservation AS r
            WHERE (v_after_id IS NULL OR (r.created_at, r.id) > (v_after_time, v_after_id)) AND r.created_at >= v_created_from
            ORDER BY r.created_at, r.id
            OFFSET WALK_MAX - 1 LIMIT 1;
        END IF;
    ELSE
        SELECT coalesce(array_agg(p.id), '{}') INTO v_ids
        FROM (
            SELECT r.id
            FROM reservation AS r
            WHERE r.created_at BETWEEN v_created_from AND v_created_to
            ORDER BY r.created_at DESC, r.id DESC
            LIMIT WALK_MAX
        ) AS p;
    END IF;

    WITH found AS (
        SELECT r.*,
            CASE v_sort
                WHEN 'reservation_id' THEN r.id::text WHEN 'scope_path' THEN r.scope_path WHEN 'status' THEN r.status ELSE ''
            END COLLATE "C" AS sort_text,
            CASE v_sort
                WHEN 'reserved' THEN r.amount
                WHEN 'created_at_ms' THEN (extract(EPOCH FROM r.created_at) * 1000)::bigint
                WHEN 'expires_at_ms' THEN (extract(EPOCH FROM r.expires_at) * 1000)::bigint
                ELSE 0
            END AS sort_number
        FROM reservation AS r
        WHERE r.id = ANY (v_ids) AND reservation_matches_v1(r, p_query, v_scopes)
    ),
    page AS (
        SELECT *
        FROM found
        WHERE v_after_id IS NULL
            OR (v_is_down AND (sort_number, sort_text, id) < (v_after_number, v_after_text COLLATE "C", v_after_id))
            OR (NOT v_is_down AND (sort_number, sort_text, id) > (v_after_number, v_after_text COLLATE "C", v_after_id))
        ORDER BY
            CASE WHEN v_is_down THEN sort_number END DESC, CASE WHEN v_is_down THEN sort_text END DESC, CASE WHEN v_is_down THEN id END DESC,
            sort_number, sort_text, id
        LIMIT v_limit
    )
    SELECT json_agg(json_build_object(
        'id', p.id, 'status', p.status, 'idempotency_key', p.idempotency_key, 'subject', p.subject, 'action', p.action,
        'unit', p.unit, 'amount', p.amount, 'charged', p.charged, 'scope_path', p.scope_path,
        'run_path', (SELECT b.scope_path FROM budget AS b WHERE b.id = p.budget_ids[cardinality(p.budget_ids)] AND b.run_id IS NOT NULL),
        'created_ms', (extract(EPOCH FROM p.created_at) * 1000)::bigint,
        'expires_ms', (extract(EPOCH FROM p.expires_at) * 1000)::bigint,
        'finalized_ms', (extract(EPOCH FROM p.finalized_at) * 1000)::bigint,
        'metadata', p.metadata, 'committed_metadata', p.committed_metadata, 'sort_text', p.sort_text, 'sort_number', p.sort_number
    ))
    INTO v_rows
    FROM page AS p;
    RETURN json_build_object('status', 'OK', 'slug', v_slug, 'rows', coalesce(v_rows, '[]'), 'walked_to', v_walked_to);
END
$$;
