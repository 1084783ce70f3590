-- Tenants whose tables had rows inserted since their last visit, or whose note is due, as PostgreSQL's own counters in memory say: no tenant's table is
-- opened. A counter that was lost in a crash begins again at nought, which is another number too.
UPDATE tenant_standing AS s SET asked_at = clock_timestamp()
FROM (
    SELECT tag
    FROM tenant_standing
    WHERE (
            revisit_at <= clock_timestamp()
            OR pg_stat_get_tuples_inserted(ledger_table::oid) + pg_stat_get_tuples_inserted(decision_table::oid) <> inserts_seen
        )
        AND (asked_at IS NULL OR asked_at <= as_of OR asked_at < clock_timestamp() - %(retry_after_s)s * interval '1 second')
    ORDER BY as_of NULLS FIRST, tag
    LIMIT %(at_most)s
    FOR UPDATE SKIP LOCKED
) AS due
WHERE s.tag = due.tag
RETURNING s.tag
