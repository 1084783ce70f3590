-- Calls refused since a moment, by reason: each of them while they are not too many, else from the rollups, by whole quarters of an hour.
WITH newest AS MATERIALIZED (
    SELECT reason_code FROM decision WHERE verdict = 'DENY' AND at >= %(since)s ORDER BY at DESC LIMIT %(at_most)s + 1
), counted AS (
    SELECT coalesce(reason_code, '') AS reason_code, count(*) AS count
    FROM newest
    WHERE (SELECT count(*) FROM newest) <= %(at_most)s
    GROUP BY 1
    UNION ALL
    SELECT reason_code, sum(count)
    FROM decision_rollup
    WHERE verdict = 'DENY' AND bucket_at > %(since)s AND (SELECT count(*) FROM newest) > %(at_most)s
    GROUP BY 1
)
SELECT reason_code, count FROM counted ORDER BY count DESC, reason_code
