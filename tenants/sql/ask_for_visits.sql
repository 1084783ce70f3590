-- Tenants whose tables had rows inserted since their last visit, or whose note is due, as PostgreSQL's own counters in memory say: no tenant's table is
-- opened. Counters are lost when PostgreSQL dies and begin again at nought, and may come to the very number that was seen: whoever was visited before
-- that is visited once more.
UPDATE tenant_standing AS s SET asked_at = clock_timestamp()
FROM (
    SELECT tag
    FROM tenant_standing
    WHERE (
            revisit_at <= clock_timestamp()
            OR as_of < (SELECT pg_stat_get_bgwriter_stat_reset_time())
            OR pg_stat_get_tuples_inserted(ledger_table::oid) + pg_stat_get_tuples_inserted(decision_table::oid) <> inserts_seen
        )
        AND (asked_at IS NULL OR asked_at <= as_of OR asked_at < clock_timestamp() - %(retry_after_s)s * interval '1 second')
    ORDER BY as_of NULLS FIRST, tag
    LIMIT %(at_most)s
    FOR UPDATE SKIP LOCKED
) AS due
WHERE s.tag = due.tag
RETURNING s.tag
