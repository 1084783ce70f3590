-- One tenant's active credential references, for a list across tenants. Reads only.
SELECT
    {tag} AS tag, r.id, r.name, r.provider, r.scope, r.tools, r.back_end, r.path, r.key, r.version, r.note, r.status, r.created_at, r.expires_at,
    r.revoked_at, r.rotated_at, r.previous_until, r.last_used_at, r.health, r.checked_at
FROM {schema}.credential_reference AS r
WHERE
    r.status = 'ACTIVE'
    AND (%(health)s = '' OR %(health)s = CASE WHEN r.expires_at <= clock_timestamp() THEN 'EXPIRED' ELSE r.health END)
    AND (%(search)s = '' OR strpos(lower(concat_ws(' ', r.name, r.scope, r.provider, r.path)), %(search)s) > 0)
ORDER BY r.name
LIMIT %(limit)s
