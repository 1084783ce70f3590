-- One tenant's newest spans with another tenant's prompt or namespace, along their index. Said of every tenant at once by `rows_across`.
SELECT
    {tag} AS tag, trace_id, span_id, started_at, kind, name, prompt_source_tenant, namespace_tenant, tenant, namespace, cache_key
FROM {schema}.span
WHERE prompt_source_tenant <> tenant OR namespace_tenant <> tenant
ORDER BY started_at DESC
LIMIT %(at_most)s
