-- Tenants with new events or with deliveries to be tried, the longest waiting first; each once until its visit ends, or again after a while.
UPDATE webhook_due AS w SET asked_at = clock_timestamp()
FROM (
    SELECT tag
    FROM webhook_due
    WHERE (due_at <= clock_timestamp() OR pg_stat_get_tuples_inserted(outbox_table::oid) <> inserts_seen)
        AND (asked_at IS NULL OR asked_at < clock_timestamp() - %(retry_after_s)s * interval '1 second')
    ORDER BY coalesce(due_at, '-infinity'), tag
    LIMIT %(at_most)s
    FOR UPDATE SKIP LOCKED
) AS due
WHERE w.tag = due.tag
RETURNING w.tag
