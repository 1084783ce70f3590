-- Says of one tenant that some of its active credential references were not looked at since a moment. Reads only.
SELECT {tag} AS tag
WHERE EXISTS (
    SELECT FROM {schema}.credential_reference AS r WHERE r.status = 'ACTIVE' AND coalesce(r.checked_at, r.created_at - interval '1 day') < %(before)s
)
