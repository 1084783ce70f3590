-- What the charges of a range of seq came to, by workspace and by model or tool, corrections apart. Read from the ledger itself: a charge counts in the
-- period in which it was booked, and a correction in which it was made, under the words of the charge that it corrects.
--
-- The words are found as `usage_of_entries` finds them, so that a statement and the page of usage say the same.
SELECT
    x.unit, x.kind = 'CORRECTION' AS is_correction, x.workspace, x.model, x.tool,
    count(*) AS calls,
    sum(x.charged) AS charged,
    sum(x.uncovered) AS uncovered,
    count(*) FILTER (WHERE x.asked_at < %(starts_at)s) AS carried
FROM (
    SELECT
        e.kind, e.unit, coalesce(r.created_at, o.at, e.at) AS asked_at,
        e.charged::numeric - c.charged_before AS charged,
        e.amount::numeric - e.charged - (c.amount_before - c.charged_before) AS uncovered,
        coalesce(substring(r.scope_path FROM '/workspace:([^/]+)'), lower(w.subject ->> 'workspace'), '') AS workspace,
        CASE WHEN m.is_model THEN m.name ELSE '' END AS model,
        CASE WHEN m.is_model THEN '' ELSE coalesce(w.action ->> 'name', '') END AS tool
    FROM ledger_entry AS e
    -- By CASE: of a charge the metadata is the caller's, and may hold anything under these names.
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN e.kind = 'CORRECTION' THEN (e.metadata ->> 'corrects')::bigint END AS corrects,
            CASE WHEN e.kind = 'CORRECTION' THEN (e.metadata ->> 'amount_before')::bigint ELSE 0 END AS amount_before,
            CASE WHEN e.kind = 'CORRECTION' THEN (e.metadata ->> 'charged_before')::bigint ELSE 0 END AS charged_before
    ) AS c
    LEFT JOIN LATERAL (SELECT at, subject, action, price FROM ledger_entry WHERE seq = c.corrects OFFSET 0) AS o ON true
    LEFT JOIN LATERAL (SELECT subject, action, scope_path, created_at FROM reservation WHERE id = e.reservation_id OFFSET 0) AS r ON true
    LEFT JOIN LATERAL (SELECT admission FROM decision WHERE id = e.reservation_id OFFSET 0) AS d ON true
    CROSS JOIN LATERAL (
        SELECT
            coalesce(r.subject, o.subject, e.subject) AS subject, coalesce(r.action, o.action, e.action) AS action,
            CASE WHEN e.kind = 'CORRECTION' THEN o.price ELSE e.price END AS price
    ) AS w
    CROSS JOIN LATERAL (
        SELECT
            coalesce(nullif(w.price ->> 'model', ''), d.admission -> 'route' ->> 'model') IS NOT NULL
                OR lower(w.action ->> 'kind') ~ '^(llm|model|embedding)([.]|$)' AS is_model,
            coalesce(
                nullif(w.price ->> 'model', ''), d.admission -> 'route' ->> 'model', substring(lower(w.action ->> 'name') FROM '[^:]*$'), ''
            ) AS name
    ) AS m
    WHERE e.seq > %(after)s AND e.seq <= %(until)s AND e.kind IN ('COMMIT', 'EVENT', 'CORRECTION')
) AS x
GROUP BY 1, 2, 3, 4, 5
ORDER BY x.unit <> 'USD_MICROCENTS', 1, 2, charged DESC, 3, 4, 5
