-- What an hour of the last seven days was charged on average; of a tenant whose first charge is younger, since that.
SELECT round(
    coalesce(sum(charged), 0) / greatest(1, least(168, extract(EPOCH FROM %(now)s::timestamptz - min(bucket_at)) / 3600))
)
FROM usage_rollup
WHERE bucket_at >= %(now)s::timestamptz - interval '7 days' AND unit = %(unit)s AND calls > 0
