-- The newest decisions of one tenant that the filter means, out of its `scanned` newest ones: bounded whatever the
-- filter is. {schema} and {tag} are put in by `budgets.selectors.across`, for several tenants in one statement.
SELECT {tag} AS tag, n.id, n.at, n.endpoint, n.verdict, n.reason_code, n.scope_path, n.failed_scope, n.unit, n.amount,
    n.run_id, n.api_key_id, n.would_deny
FROM (SELECT * FROM {schema}.decision ORDER BY id DESC LIMIT %(scanned)s) AS n
WHERE (%(verdict)s = '' OR (n.verdict = 'DENY') = (%(verdict)s = 'deny'))
    AND (%(reason)s = '' OR n.reason_code = %(reason)s)
ORDER BY n.id DESC
LIMIT %(at_most)s
