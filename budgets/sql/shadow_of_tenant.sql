-- What is in shadow mode in one tenant, and how many calls of a range it let through. {schema} and {tag} are put in by
-- `budgets.selectors.across`, for several tenants in one statement.
SELECT {tag} AS tag,
    (SELECT p.document FROM {schema}.policy_version AS p WHERE p.kind = 'shadow' ORDER BY p.version DESC LIMIT 1) AS document,
    (
        SELECT coalesce(sum(r.count), 0) FROM {schema}.decision_rollup AS r
        WHERE r.bucket_at >= %(since)s AND r.bucket_at < %(until)s AND r.would_deny <> ''
    ) AS would_deny
