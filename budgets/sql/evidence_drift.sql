-- What one tenant's calls of models came to since a moment: as its runtimes saw it, and as it was booked. Said of every tenant at once by `rows_across`.
SELECT
    {tag} AS tag,
    (SELECT coalesce(sum(cost), 0) FROM {schema}.span_rollup WHERE bucket_at >= %(since)s AND kind IN ('inference', 'embedding')) AS seen,
    (
        SELECT coalesce(sum(charged), 0) FROM {schema}.usage_rollup
        WHERE bucket_at >= %(since)s AND unit = 'USD_MICROCENTS' AND model <> ''
    ) AS booked
