-- Refused calls of one tenant by cause since a moment, from its sums. {schema} and {tag} are put in by
-- `budgets.selectors.across`.
SELECT {tag} AS tag, reason_code, sum(count) AS count
FROM {schema}.decision_rollup
WHERE bucket_at >= %(since)s AND verdict = 'DENY' AND (%(reason)s = '' OR reason_code = %(reason)s)
GROUP BY reason_code
