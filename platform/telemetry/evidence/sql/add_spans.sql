-- Keeps the spans of `rows` that are not kept yet, and says how many there were of each kind of leak (about is null: of none).
WITH added AS (
    INSERT INTO span
    SELECT * FROM jsonb_populate_recordset(NULL::span, %(rows)s::jsonb)
    ON CONFLICT (trace_id, span_id) DO NOTHING
    RETURNING
        CASE
            WHEN prompt_source_tenant <> tenant THEN prompt_source_tenant
            WHEN namespace_tenant <> tenant THEN namespace_tenant
        END AS about,
        trace_id
)
SELECT about, count(*), max(trace_id) FROM added GROUP BY about
