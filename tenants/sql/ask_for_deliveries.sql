-- Tenants with new events or with deliveries to be tried, those first whose last visit is longest ago; each once until its visit ends, or again after a
-- while. Counters are lost when PostgreSQL dies, and may come to the very number that was seen: whoever was visited before that is visited once more.
UPDATE webhook_due AS w SET asked_at = clock_timestamp(), oldest_at = coalesce(w.oldest_at, clock_timestamp())
FROM (
    SELECT tag
    FROM webhook_due
    WHERE (
            due_at <= clock_timestamp()
            OR pg_stat_get_tuples_inserted(outbox_table::oid) <> inserts_seen
            OR visited_at < (SELECT pg_stat_get_bgwriter_stat_reset_time())
        )
        AND (asked_at IS NULL OR asked_at < clock_timestamp() - %(retry_after_s)s * interval '1 second')
    ORDER BY visited_at NULLS FIRST, tag
    LIMIT %(at_most)s
    FOR UPDATE SKIP LOCKED
) AS due
WHERE w.tag = due.tag
RETURNING w.tag
