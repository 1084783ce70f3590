-- Says of one tenant that some of its active credential references were not looked at since a moment, that a lease is over here and not at its store yet, or
-- that one has been over for long. Reads only.
SELECT {tag} AS tag
WHERE EXISTS (
    SELECT FROM {schema}.credential_reference AS r WHERE r.status = 'ACTIVE' AND coalesce(r.checked_at, r.created_at - interval '1 day') < %(before)s
)
OR EXISTS (
    SELECT FROM {schema}.credential_lease AS l
    WHERE l.store_lease_id <> ''
        AND (
            l.ended_at IS NOT NULL
            OR l.expires_at <= clock_timestamp()
            OR EXISTS (SELECT FROM {schema}.credential_reference AS r WHERE r.id = l.reference_id AND r.status = 'REVOKED')
        )
)
OR EXISTS (SELECT FROM {schema}.credential_lease AS l WHERE l.expires_at < clock_timestamp() - interval '8 days')
