-- What waits in the shared lists, and how late it is in seconds. One row a kind of work.
SELECT 'expiry' AS mark, count(*) AS tenants, coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0)::float8 AS lag_s
FROM tenant_due
WHERE due_at <= clock_timestamp() AND claim IS NULL
UNION ALL
-- How long no tenant at all was visited although some wait: a quiet tenant's own note may be old and miss nothing.
SELECT
    'rollups',
    count(*) FILTER (WHERE w.waits),
    CASE WHEN bool_or(w.waits) THEN coalesce(extract(epoch FROM clock_timestamp() - max(w.as_of)), 0) ELSE 0 END::float8
FROM (
    SELECT
        as_of,
        revisit_at <= clock_timestamp()
            OR pg_stat_get_tuples_inserted(ledger_table::oid) + pg_stat_get_tuples_inserted(decision_table::oid) <> inserts_seen AS waits
    FROM tenant_standing
) AS w
UNION ALL
-- Without a time of its own an event that came in just now is not late.
SELECT
    'webhooks', count(*) FILTER (WHERE w.waits),
    coalesce(extract(epoch FROM clock_timestamp() - min(w.due_at) FILTER (WHERE w.waits)), 0)::float8
FROM (
    SELECT
        CASE WHEN due_at <= clock_timestamp() THEN due_at END AS due_at,
        coalesce(due_at <= clock_timestamp(), false) OR pg_stat_get_tuples_inserted(outbox_table::oid) <> inserts_seen AS waits
    FROM webhook_due
) AS w
UNION ALL
SELECT 'evidence', count(*), coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0)::float8
FROM evidence_standing
WHERE due_at <= clock_timestamp()
UNION ALL
-- As the last visits left them: the next visit opens and seals, and puts the next time.
SELECT
    'periods', count(*) FILTER (WHERE period_due_at <= clock_timestamp()),
    coalesce(extract(epoch FROM clock_timestamp() - min(period_due_at) FILTER (WHERE period_due_at <= clock_timestamp())), 0)::float8
FROM tenant_standing
UNION ALL
SELECT
    'seals', count(*) FILTER (WHERE seal_due_at <= clock_timestamp()),
    coalesce(extract(epoch FROM clock_timestamp() - min(seal_due_at) FILTER (WHERE seal_due_at <= clock_timestamp())), 0)::float8
FROM tenant_standing
