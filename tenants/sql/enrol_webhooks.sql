-- A line for every tenant with books that has none yet, and for the platform.
INSERT INTO webhook_due (tag, outbox_table, inserts_seen)
SELECT substr(t.schema_name, 3), to_regclass(t.schema_name || '.outbox_event')::oid::bigint, -1
FROM tenant AS t
WHERE t.status <> 'PROVISIONING' AND NOT EXISTS (SELECT FROM webhook_due AS w WHERE w.tag = substr(t.schema_name, 3))
    AND to_regclass(t.schema_name || '.outbox_event') IS NOT NULL
UNION ALL
SELECT %(platform)s, to_regclass('public.outbox_event')::oid::bigint, -1
WHERE NOT EXISTS (SELECT FROM webhook_due AS w WHERE w.tag = %(platform)s)
ON CONFLICT DO NOTHING
